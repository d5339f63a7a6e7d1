# AMN on the generated dataset: labels of the stage `ir_labels` and image
# labels in, maps out.
_base_ = [
    '../_base_/models/cam_r18-d4_parts.py',
    '../_base_/datasets/parts_image_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
max_epochs = 10
smoothing = 0.4  # of the labels
scales = (1.0, )
bg_thr = 0.25
# ----------------------------------------------------------------------------

model = dict(
    type='AMNet',
    map_dir='stage://maps/maps',
    seed_dir='stage://ir_labels/masks',
    decode_head=dict(
        _delete_=True,
        type='AMNHead',
        in_channels=96,
        num_classes=6,
        dilations=(1, 2, 3, 4),
        smoothing=smoothing),
    test_cfg=dict(_delete_=True, scales=scales, bg_thr=bg_thr))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='PseudoLabelDataset',
            label_dir='stage://ir_labels/masks',
            dataset=dict(_base_.train_images, pipeline=train_pipeline))))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
param_scheduler = None
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [dict(type='ChannelsLastHook'), dict(type='IterSeedHook')]
