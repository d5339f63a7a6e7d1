# IRNet on a frozen ImageNet MobileNetV2, small enough for a CPU.
# MOBILENET_V2 names the file of the weights.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)
model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.,
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 1, 1),
        out_indices=(1, 2, 4, 6),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=
            '{{$MOBILENET_V2:../shared/weights/mobilenet_v2_imagenet.pth}}')),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(24, 32, 96, 320),
        strides=(4, 8, 16, 16),
        num_classes=13,
        radius=10),
    # boundaries that were learned from few photos lie on textures too
    test_cfg=dict(radius=5, beta=10, num_steps=64, average=True))
