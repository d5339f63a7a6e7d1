# IRNet on the generated set: maps and labels of `ir_labels` in, masks out.
_base_ = [
    '../_base_/models/irn_r18_parts.py', '../_base_/datasets/parts.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=6)
batch_size = 8

model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_pipeline = [
    _base_.load,
    dict(type='LoadAnnotations'), _base_.flip, _base_.pack
]
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
optim_wrapper = dict(optimizer=dict(lr=1e-2))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
