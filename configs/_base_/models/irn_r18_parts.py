# IRNet on the backbone of the classifier: nothing is pre-trained for the
# generated data set.
_base_ = './resnet18_parts.py'

model = dict(
    type='IRNet',
    map_dir='stage://maps/maps',
    backbone=dict(
        type='StemResNet',
        deep_stem=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='stage://classifier/last_checkpoint')),
    decode_head=dict(
        type='EdgeHead', in_channels=(32, 48, 96), strides=(4, 4, 4),
        radius=5),
    # the grid has a tenth of the cells of a photo: a shorter walk
    test_cfg=dict(radius=5, beta=10, num_steps=32))
