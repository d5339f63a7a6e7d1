# AMN on coco-mini: labels of the stage `ir_labels` and image labels in, maps
# out.
_base_ = '../irn/irn_m-v2_coco-mini.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=20)
batch_size = 16
smoothing = 0.4  # of the labels
bg_thr = 0.25

model = dict(
    type='AMNet',
    seed_dir='stage://ir_labels/masks',
    backbone=dict(out_indices=(4, 6), norm_cfg=dict(_delete_=True, type='BN')),
    decode_head=dict(
        _delete_=True,
        type='AMNHead',
        in_channels=320,
        num_classes=_base_.num_classes,
        smoothing=smoothing),
    test_cfg=dict(_delete_=True, scales=(1.0, 0.5, 1.5), bg_thr=bg_thr))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=_base_.train_dataloader.dataset))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=1e-4, weight_decay=1e-4),
    paramwise_cfg=_base_.fast_head)
param_scheduler = None  # the rate is constant
