# DeepLabV3 on three stages of a ResNet-18 from scratch, for 128 x 128 images.
_base_ = './resnet18_parts.py'

model = dict(
    type='EncoderDecoder',
    backbone=dict(
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        out_indices=(1, 2)),
    decode_head=dict(
        type='ASPPHead',
        in_channels=128,
        channels=64,
        dilations=(1, 3, 6),
        norm_cfg=dict(type='BN', requires_grad=True)),
    test_cfg=dict(mode='whole'))
