# mmseg's schedule of Swin and SegFormer, with the 40k iterations of the LPCAM
# paper on VOC; for the 80k on COCO override max_iters and both `end`s of
# param_scheduler in the leaf config. The rate is for batches of 16 images:
# set train_dataloader.batch_size there to 16 / number of GPUs.
_base_ = './schedule_20k.py'

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            absolute_pos_embed=dict(decay_mult=0),  # Swin
            relative_position_bias_table=dict(decay_mult=0),  # Swin
            pos_block=dict(decay_mult=0),  # SegFormer
            norm=dict(decay_mult=0))))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(
        type='PolyLR',
        eta_min=0,
        power=1.0,
        begin=1500,
        end=40000,
        by_epoch=False)
]
train_cfg = dict(max_iters=40000, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))
