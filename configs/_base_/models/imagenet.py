# What networks that start from ImageNet weights share.
model = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True))
norm_cfg = dict(type='SyncBN', requires_grad=True)
# of DeepLabV3 and UPerNet
auxiliary_head = dict(
    type='FCNHead',
    in_index=2,
    channels=256,
    num_convs=1,
    concat_input=False,
    norm_cfg=norm_cfg,
    loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4))
