# Classifier for photos of one's own, for a GPU: the model, the augmentation
# and the optimiser of VOC. tools/new_project.py writes a config that adds the
# photos, their tags and the classes.
_base_ = [
    '../models/cam_r50-d16.py', '../schedules/cam_5e.py',
    '../default_runtime.py'
]

train_pipeline = [
    dict(type='LoadPhoto'),
    # long side from 320 to 640 pixels
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(320, 641, 16)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    # the mean colour (BGR) becomes zero when the model normalises
    dict(
        type='RandomCanvasCrop',
        crop_size=(512, 512),
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
# about the size of VOC, whatever the camera; masks have that of the photo
resize = dict(type='Resize', scale=(1024, 384), keep_ratio=True)
test_pipeline = [dict(type='LoadPhoto'), resize, dict(type='PackSegInputs')]
score_pipeline = [
    dict(type='LoadPhoto'), resize,
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageLabelDataset', dataset=dict(pipeline=train_pipeline)))
# for prototypes, and for the masks of the segmentor
label_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=test_pipeline)))
# photos with masks
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=score_pipeline)))
test_evaluator = dict(type='CAMIoUMetric', split='training photos with masks')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        by_epoch=True,
        convert_to_iter_based=True)
]
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
custom_hooks = []
prototypes = dict(type='PrototypeBankHook', init='k-means++')
