# ImageNet MobileNetV2 with output stride 16, small enough for a CPU.
# MMSegmentation's returns a bare tensor for a single out index, hence two.
# MOBILENET_V2 names the file of the weights.
model = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        size_divisor=1),  # training crops have one size already
    backbone=dict(
        type='MobileNetV2',
        strides=(1, 2, 2, 2, 1, 1, 1),
        out_indices=(4, 6),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=
            '{{$MOBILENET_V2:data/weights/mobilenet_v2_imagenet.pth}}')))
