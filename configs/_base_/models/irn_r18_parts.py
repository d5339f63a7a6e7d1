# IRNet on the backbone of the classifier: nothing is pre-trained for the
# generated dataset.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[118, 118, 118],
    std=[60, 60, 60],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)
model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='StemResNet',
        depth=18,
        deep_stem=True,
        stem_channels=32,
        base_channels=48,
        num_stages=2,
        strides=(1, 1),
        dilations=(1, 1),
        out_indices=(0, 1),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='stage://classifier/last_checkpoint')),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(32, 48, 96),
        strides=(4, 4, 4),
        num_classes=6,
        radius=5),
    # the grid has a tenth of the cells of a photo: a shorter walk
    test_cfg=dict(radius=5, beta=10, num_steps=32))
