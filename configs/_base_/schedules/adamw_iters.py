# mmseg's schedule of Swin and SegFormer. The rate is for 16 images in all:
# batches of 16 / number of GPUs. The leaf config sets
# `param_scheduler[1].end`, too: a trial may be shorter than the warm-up.
_base_ = './iters.py'

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            absolute_pos_embed=dict(decay_mult=0),  # Swin
            relative_position_bias_table=dict(decay_mult=0),  # Swin
            pos_block=dict(decay_mult=0),  # SegFormer
            norm=dict(decay_mult=0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, end=1500),
    dict(type='PolyLR', power=1.0, by_epoch=False, begin=1500)
]
default_hooks = dict(checkpoint=dict(interval=4000))
