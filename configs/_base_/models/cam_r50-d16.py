# The classifier of IRN, ReCAM and LPCAM: ResNet-50 with output stride 16 and
# no dilation, batch norm on running statistics, frozen stem, bias-free
# classifier.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)  # training crops have one size already
model = dict(
    type='CAMSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        frozen_stages=0,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet50-19c8e357.pth')),
    decode_head=dict(
        type='CAMHead',
        in_channels=2048,
        num_classes=21,
        num_clusters=12,
        stride=16,
        scales=(1.0, 0.5, 1.5, 2.0)),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.3))
