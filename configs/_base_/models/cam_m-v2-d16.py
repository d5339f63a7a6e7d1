# MobileNetV2 with output stride 16. MMSegmentation's MobileNetV2 returns a
# bare tensor for a single out index, hence two. MOBILENET_V2 names the file
# of the ImageNet weights.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)  # training crops have one size already
model = dict(
    type='CAMSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.,
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 1, 1),
        out_indices=(4, 6),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=
            '{{$MOBILENET_V2:../shared/weights/mobilenet_v2_imagenet.pth}}')),
    neck=dict(
        type='PointwiseNeck',
        in_channels=320,
        out_channels=1280,
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=
            '{{$MOBILENET_V2:../shared/weights/mobilenet_v2_imagenet.pth}}')),
    decode_head=dict(
        type='CAMHead',
        in_channels=1280,
        num_classes=13,
        num_clusters=12,
        stride=16,
        scales=(1.0, 0.5, 1.5)),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.3))
