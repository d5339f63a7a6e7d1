# AMN on PASCAL VOC 2012: labels of the stage `ir_labels` and image labels in,
# maps out. Never run on VOC.
_base_ = [
    '../_base_/models/cam_r50-d16.py', '../_base_/datasets/voc12.py',
    '../_base_/datasets/irn_512.py', '../_base_/schedules/cam.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (512, 512)
train_cfg = dict(max_epochs=5)
batch_size = 16
smoothing = 0.4  # of the labels
bg_thr = 0.25
scales = (1.0, 0.5, 1.5, 2.0)

model = dict(
    type='AMNet',
    map_dir='stage://maps/maps',
    seed_dir='stage://ir_labels/masks',
    decode_head=dict(
        _delete_=True,
        type='AMNHead',
        in_channels=2048,
        num_classes=_base_.num_classes,
        smoothing=smoothing),
    test_cfg=dict(_delete_=True, scales=scales, bg_thr=bg_thr))
masks = _base_.train_dataloader.dataset
masks.dataset.pipeline[4].crop_size = crop_size
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(masks, dataset=dict(masks.dataset, **_base_.photos))))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=5e-6, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=20))))
param_scheduler = None  # the rate is constant
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
