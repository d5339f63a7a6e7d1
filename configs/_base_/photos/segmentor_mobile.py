# Chain and segmentor for photos of one's own, for a CPU: as on coco-mini.
# tools/new_project.py writes a config that adds the photos and the classes.
_base_ = [
    '../models/deeplabv3_m-v2-d16.py', '../datasets/pseudo_labels.py',
    '../schedules/epochs.py', '../chains/lpcam.py', '../chains/tags.py',
    '../tta_crf.py', '../cpu_runtime.py', './mobile_weights.py'
]

scale = (448, 448)
train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=scale,
        ratio_range=(0.6, 1.4),
        keep_ratio=True),
    dict(type='RandomCanvasCrop', crop_size=(288, 288), img_pad_val=118),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
# the long side of large photos is 2048 there
tta_pipeline = _base_.tta_pipeline
for resize in tta_pipeline[1].transforms[0]:
    resize.scale = (resize.scale[0] * 448 // 2048, ) * 2
train_dataloader = dict(
    batch_size=8,
    drop_last=True,  # batch norm of the pooled photo fails on a batch of one
    dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=_base_.imagenet_pixels,
    backbone=dict(init_cfg=_base_.imagenet_weights))
optim_wrapper = dict(
    optimizer=dict(lr=2e-4, weight_decay=1e-2), paramwise_cfg=_base_.fast_head)
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
