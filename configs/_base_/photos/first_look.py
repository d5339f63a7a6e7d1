# Tags in, masks out within minutes: a linear classifier on features that stay
# as they come, prototypes, and masks of one scale. No segmentor.
_base_ = ['../chains/lpcam.py', '../chains/tags.py', '../cpu_runtime.py']

one_scale = dict(decode_head=dict(scales=(1.0, ), flip=False))
stages = dict(
    classifier=dict(
        model=one_scale,
        optim_wrapper=dict(
            paramwise_cfg=dict(
                custom_keys=dict(
                    backbone=dict(lr_mult=0), neck=dict(lr_mult=0))))),
    labels=dict(model=one_scale))
