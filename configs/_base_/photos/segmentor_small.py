# Chain and segmentor for photos of one's own, for a CPU: the small network of
# the generated set, from scratch. tools/new_project.py writes a config that
# adds the photos and the classes.
_base_ = [
    '../models/deeplabv3_r18-d8_parts.py', '../schedules/epochs.py',
    '../chains/lpcam.py', '../tta_crf.py', '../default_runtime.py'
]

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(512, 128),
        ratio_range=(0.8, 1.2),
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCanvasCrop', crop_size=(128, 128), img_pad_val=118),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='Resize', scale=(512, 128), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
# as for large photos, with factors of the test size
tta_pipeline = [
    dict(type='LoadPhoto'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(
                    type='Resize',
                    scale=(int(512 * ratio), int(128 * ratio)),
                    keep_ratio=True) for ratio in (0.5, 0.75, 1.0, 1.25, 1.5)
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0., 1.)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ])
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,  # batch norm of the pooled photo fails on a batch of one
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://labels/masks',
        dataset=dict(pipeline=train_pipeline)))
# photos with masks
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
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
