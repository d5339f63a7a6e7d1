# The images of voc12_pseudo_labels.py as in deeplab-pytorch: random scale,
# crop of 321 pixels, mirror image; tested in the original size. The leaf
# config sets model.data_preprocessor.size=_base_.crop_size: it pads small
# images at the right and bottom with zero, the mean colour once normalised,
# and their masks with 255.
#
# `tools/test.py --tta` adds nothing but the CRF: MultiScaleSegmentor fuses
# the scales inside the network, and deeplab-pytorch tests neither further
# scales nor mirror images. ../tta_crf.py is inherited here, not by the leaf.
_base_ = ['./voc12_pseudo_labels.py', '../tta_crf.py']

crop_size = (321, 321)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoice',
        transforms=[[dict(type='Resize', scale_factor=ratio, keep_ratio=True)]
                    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5)]),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ])
]
train_dataloader = dict(
    batch_size=5, dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
