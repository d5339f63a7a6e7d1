# DeepLabV3 on MobileNetV2.
_base_ = './mobilenet_v2.py'

model = dict(
    type='EncoderDecoder',
    backbone=dict(dilations=(1, 1, 1, 1, 1, 2, 2)),
    decode_head=dict(
        type='ASPPHead',
        in_channels=320,
        channels=128,
        dilations=(1, 6, 12, 18),
        norm_cfg=dict(type='BN', requires_grad=True)),
    test_cfg=dict(mode='whole'))
