# Classifier for photos of one's own, for a CPU: the small network of the
# generated set, from scratch. tools/new_project.py writes a config that adds
# the photos, their tags and the classes.
_base_ = [
    '../models/cam_r18-d4_parts.py', '../schedules/epochs.py',
    '../default_runtime.py'
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
score_pipeline = [
    dict(type='LoadPhoto'), resize,
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
# No loader processes: the cores are busy with the model, and a resumed run
# then repeats an unbroken one exactly (IterSeedHook).
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,  # batch norm learns little from a batch of one
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageLabelDataset', dataset=dict(pipeline=train_pipeline)))
# for prototypes, and for the masks of the segmentor
label_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=test_pipeline)))
# photos with masks
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=score_pipeline)))
test_evaluator = dict(type='CAMIoUMetric', split='training photos with masks')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        by_epoch=True,
        convert_to_iter_based=True)
]
# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
custom_hooks = [dict(type='ChannelsLastHook'), dict(type='IterSeedHook')]
prototypes = dict(type='PrototypeBankHook', init='k-means++', num_workers=0)
