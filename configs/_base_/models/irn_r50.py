# IRNet: a frozen ImageNet ResNet-50 with output stride 16, and the branch
# that finds boundaries.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)  # training crops have one size already
model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='StemResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet50-19c8e357.pth')),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(64, 256, 512, 1024, 2048),
        strides=(4, 4, 8, 16, 16),
        num_classes=21,
        radius=10),
    test_cfg=dict(radius=5, beta=10, num_steps=256))
