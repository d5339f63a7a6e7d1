# AMN on PASCAL VOC 2012: labels of the stage `ir_labels` and image labels in,
# maps out. Never run on VOC.
_base_ = [
    '../_base_/models/cam_r50-d16.py',
    '../_base_/datasets/voc12_image_labels.py',
    '../_base_/datasets/irn_pipeline.py', '../_base_/schedules/cam_5e.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
smoothing = 0.4  # of the labels
bg_thr = 0.25
scales = (1.0, 0.5, 1.5, 2.0)
# ----------------------------------------------------------------------------

model = dict(
    type='AMNet',
    map_dir='stage://maps/maps',
    seed_dir='stage://ir_labels/masks',
    decode_head=dict(
        _delete_=True,
        type='AMNHead',
        in_channels=2048,
        num_classes=21,
        smoothing=smoothing),
    test_cfg=dict(_delete_=True, scales=scales, bg_thr=bg_thr))
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='PseudoLabelDataset',
            label_dir='stage://ir_labels/masks',
            dataset=dict(
                _base_.train_dataloader.dataset.dataset,
                pipeline=_base_.irn_pipeline))))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=5e-6, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=20))))
param_scheduler = None  # the rate is constant
