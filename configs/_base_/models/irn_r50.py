# IRNet: a frozen ImageNet ResNet-50 with output stride 16, and the branch
# that finds boundaries.
_base_ = './imagenet.py'

model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    data_preprocessor=dict(size_divisor=1),  # crops have one size already
    backbone=dict(
        type='StemResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet50-19c8e357.pth')),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(64, 256, 512, 1024, 2048),
        strides=(4, 4, 8, 16, 16),
        radius=10),
    test_cfg=dict(radius=5, beta=10, num_steps=256))
