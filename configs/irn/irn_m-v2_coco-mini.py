# IRNet on coco-mini: labels of the stage `ir_labels` in, masks refined from
# the maps of the stage `maps` out.
_base_ = [
    '../_base_/models/irn_m-v2.py',
    '../_base_/datasets/coco_mini_image_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
max_epochs = 12
# ----------------------------------------------------------------------------

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 577, 32)],
        keep_ratio=True),
    dict(
        type='RandomCanvasCrop',
        crop_size=(288, 288),
        img_pad_val=(127.5, 127.5, 127.5)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-3, weight_decay=1e-4))
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
