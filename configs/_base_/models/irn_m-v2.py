# IRNet on a frozen MobileNetV2.
_base_ = './mobilenet_v2.py'

model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    backbone=dict(
        out_indices=(1, 2, 4, 6),
        norm_cfg=dict(type='BN', requires_grad=False)),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(24, 32, 96, 320),
        strides=(4, 8, 16, 16),
        radius=10),
    # boundaries that were learned from few photos lie on textures too
    test_cfg=dict(radius=5, beta=10, num_steps=64, average=True))
