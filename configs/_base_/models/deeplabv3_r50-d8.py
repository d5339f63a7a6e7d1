# DeepLabV3 as in mmseg.
_base_ = './imagenet.py'

model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNetV1c',
        depth=50,
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=_base_.norm_cfg,
        contract_dilation=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')),
    decode_head=dict(
        type='ASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        norm_cfg=_base_.norm_cfg),
    auxiliary_head=dict(_base_.auxiliary_head, in_channels=1024),
    test_cfg=dict(mode='whole'))
