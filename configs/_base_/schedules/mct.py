# DeiT's schedule, as MCTformer trains: AdamW, 5 epochs of warm-up, a cosine.
# Its rate is 5e-4 for a batch of 512; the leaf config sets that of its batch.
_base_ = './epochs.py'

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys=dict(
            cls_token=dict(decay_mult=0.), pos_embed=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.016, by_epoch=True, end=5),
    # to the end of training
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5)
]
default_hooks = dict(logger=dict(interval=50))
