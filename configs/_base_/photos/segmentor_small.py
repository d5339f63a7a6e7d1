# Chain and segmentor for photos of one's own, for a CPU: as on the generated
# set. A config of tools/new_project.py adds the photos and the classes.
_base_ = [
    '../models/deeplabv3_r18-d8_parts.py', '../datasets/pseudo_labels.py',
    '../schedules/epochs.py', '../chains/lpcam.py', '../chains/tags.py',
    '../tta_crf.py', '../cpu_runtime.py'
]

scale = (512, 128)
train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(0.8, 1.2),
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCanvasCrop', crop_size=(128, 128), img_pad_val=118),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
# a quarter of the test size of large photos
tta_pipeline = _base_.tta_pipeline
for resize in tta_pipeline[1].transforms[0]:
    resize.scale = tuple(side // 4 for side in resize.scale)
train_dataloader = dict(
    batch_size=8,
    drop_last=True,  # batch norm of the pooled photo fails on a batch of one
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [_base_.warmup, *_base_.param_scheduler]
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
