# Classifier for photos of one's own, for a CPU: ImageNet MobileNetV2, as on
# coco-mini. A config of tools/new_project.py adds photos, tags and classes.
_base_ = [
    '../models/cam_m-v2-d16.py', '../datasets/image_labels.py',
    '../schedules/epochs.py', '../cpu_runtime.py', './mobile_weights.py'
]

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 513, 16)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomCanvasCrop', crop_size=(288, 288), img_pad_val=118),
    dict(type='PackSegInputs')
]
# masks have the size of the photo all the same
resize = dict(type='Resize', scale=(448, 448), keep_ratio=True)
test_pipeline = [dict(type='LoadPhoto'), resize, dict(type='PackSegInputs')]
score_pipeline = [*test_pipeline]
score_pipeline.insert(2, dict(type='LoadAnnotations'))
train_dataloader = dict(
    batch_size=16, dataset=dict(dataset=dict(pipeline=train_pipeline)))
label_dataloader = dict(
    dataset=dict(dataset=dict(test_mode=True, pipeline=test_pipeline)))
tag_dataloader = dict(
    _base_.label_dataloader,
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=test_pipeline)))
test_dataloader = dict(
    dataset=dict(dataset=dict(test_mode=True, pipeline=score_pipeline)))
test_evaluator = dict(split='training photos with masks')

model = dict(
    data_preprocessor=_base_.imagenet_pixels,
    backbone=dict(init_cfg=_base_.imagenet_weights),
    neck=dict(init_cfg=_base_.imagenet_weights),
    decode_head=dict(scales=(1.0, 0.5, 1.5)))
optim_wrapper = dict(
    optimizer=dict(lr=3e-4, weight_decay=1e-2), paramwise_cfg=_base_.fast_head)
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
prototypes = dict(type='PrototypeBankHook', init='k-means++', num_workers=0)
