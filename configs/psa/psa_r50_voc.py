# AffinityNet on PASCAL VOC 2012: labels of `psa_labels` and maps in, masks
# out. Its authors take ResNet-38 where ResNet-50 is here. Never run on VOC.
_base_ = [
    '../_base_/models/irn_r50.py', '../_base_/datasets/voc12.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=5)
batch_size = 8
crop_size = (448, 448)

model = dict(
    type='AffinityNet',
    backbone=dict(type='ResNet', out_indices=(1, 2, 3)),
    decode_head=dict(
        _delete_=True,
        type='AffinityHead',
        in_channels=(512, 1024, 2048),
        num_classes=_base_.num_classes),
    test_cfg=dict(_delete_=True))
train_pipeline = [
    _base_.load,
    dict(type='LoadAnnotations'),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomCanvasCrop', crop_size=crop_size, img_pad_val=0),
    dict(type='RandomFlip', prob=0.5), _base_.pack
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://psa_labels/masks',
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=_base_.fast_head)
default_hooks = dict(logger=dict(interval=50))
test_dataloader = dict(num_workers=4, dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(num_workers=4, dataset=_base_.label_dataset)
