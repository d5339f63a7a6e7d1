# AMN on voc-animals: labels of the stage `ir_labels` and image labels in, maps
# out.
_base_ = ['../irn/irn_m-v2_voc-animals.py', '../_base_/models/amn_m-v2.py']

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=3)
batch_size = 16
smoothing = 0.4  # of the labels
bg_thr = 0.25

model = _base_.amn_model
model.decode_head.update(num_classes=_base_.num_classes, smoothing=smoothing)
model.test_cfg.bg_thr = bg_thr
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
