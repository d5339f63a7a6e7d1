# Classifier for photos of one's own, for a CPU: as on the generated set. A
# config of tools/new_project.py adds the photos, their tags and the classes.
_base_ = [
    '../models/cam_r18-d4_parts.py', '../datasets/image_labels.py',
    '../schedules/epochs.py', '../cpu_runtime.py'
]

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(
        type='RandomResize',
        scale=(512, 128),
        ratio_range=(0.8, 1.2),
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCanvasCrop', crop_size=(128, 128), img_pad_val=118),
    dict(type='PackSegInputs')
]
# masks have the size of the photo all the same
resize = dict(type='Resize', scale=(512, 128), keep_ratio=True)
test_pipeline = [dict(type='LoadPhoto'), resize, dict(type='PackSegInputs')]
score_pipeline = [*test_pipeline]
score_pipeline.insert(2, dict(type='LoadAnnotations'))
train_dataloader = dict(
    batch_size=8,
    drop_last=True,  # batch norm learns little from a batch of one
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
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

optim_wrapper = dict(optimizer=dict(lr=3e-3), paramwise_cfg=_base_.fast_head)
param_scheduler = [_base_.warmup, *_base_.param_scheduler]
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
prototypes = dict(type='PrototypeBankHook', init='k-means++', num_workers=0)
