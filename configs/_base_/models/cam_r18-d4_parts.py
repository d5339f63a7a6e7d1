# Two stages of a ResNet-18 from scratch: the images of the generated dataset
# are small, so their features keep a stride of 4.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[118, 118, 118],
    std=[60, 60, 60],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)
model = dict(
    type='CAMSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=32,
        base_channels=48,
        num_stages=2,
        strides=(1, 1),
        dilations=(1, 1),
        out_indices=(0, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False),
    decode_head=dict(
        type='CAMHead',
        in_channels=96,
        num_classes=6,
        num_clusters=12,
        stride=4,
        scales=(1.0, )),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.4))
