# The pipelines of deeplab-pytorch: random scale, crop, mirror image; tested
# in the original size. The leaf config sets `crop_size` of step 3 and pads to
# it: images with zero, the mean colour once normalised, masks with 255.
# `tools/test.py --tta` adds nothing but the CRF: MultiScaleSegmentor fuses the
# scales inside the network, and deeplab-pytorch mirrors nothing in a test.
_base_ = './seg_512.py'

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug', transforms=[[step] for step in test_pipeline[1:]])
]
sizes = [
    dict(type='Resize', scale_factor=ratio, keep_ratio=True)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5)
]
train_dataloader = dict(
    dataset=dict(
        dataset=dict(pipeline=[
            *test_pipeline[:2],
            dict(type='RandomChoice', transforms=[[size] for size in sizes]),
            dict(type='RandomCrop'),
            dict(type='RandomFlip', prob=0.5), test_pipeline[2]
        ])))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
