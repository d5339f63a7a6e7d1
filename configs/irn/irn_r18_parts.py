# IRNet on the generated dataset: labels of the stage `ir_labels` in, masks
# refined from the maps of the stage `maps` out.
_base_ = [
    '../_base_/models/irn_r18_parts.py',
    '../_base_/datasets/parts_image_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
max_epochs = 6
# ----------------------------------------------------------------------------

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(_base_.train_images, pipeline=train_pipeline)))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [dict(type='ChannelsLastHook'), dict(type='IterSeedHook')]
