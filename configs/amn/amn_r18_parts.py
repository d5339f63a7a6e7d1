# AMN on the generated data set: labels of the stage `ir_labels` and image
# labels in, maps out.
_base_ = [
    '../_base_/models/resnet18_parts.py', '../_base_/datasets/parts.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=10)
batch_size = 8
smoothing = 0.4  # of the labels
bg_thr = 0.25

model = dict(
    type='AMNet',
    map_dir='stage://maps/maps',
    seed_dir='stage://ir_labels/masks',
    decode_head=dict(
        type='AMNHead',
        in_channels=96,
        num_classes=_base_.num_classes,
        dilations=(1, 2, 3, 4),
        smoothing=smoothing),
    test_cfg=dict(scales=(1.0, ), bg_thr=bg_thr))
train_pipeline = [
    _base_.load,
    dict(type='LoadAnnotations'), _base_.flip, _base_.pack
]
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        labels=_base_.image_labels,
        dataset=dict(
            type='PseudoLabelDataset',
            label_dir='stage://ir_labels/masks',
            dataset=dict(_base_.photos, pipeline=train_pipeline))))
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=2e-4), paramwise_cfg=_base_.fast_head)
param_scheduler = None  # the rate is constant
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
