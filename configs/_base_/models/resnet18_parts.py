# Two stages of a ResNet-18 from scratch: the images of the generated data set
# are small, so their features keep a stride of 4.
model = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[118, 118, 118],
        std=[60, 60, 60],
        bgr_to_rgb=True,
        size_divisor=1),
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=32,
        base_channels=48,
        num_stages=2,
        strides=(1, 1),
        dilations=(1, 1),
        out_indices=(0, 1)))
