# IRNet on voc-animals: maps and labels of `ir_labels` in, masks out.
_base_ = [
    '../_base_/models/irn_m-v2.py', '../_base_/datasets/voc_animals.py',
    '../_base_/datasets/irn_448.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=3)
batch_size = 16
crop_size = (288, 288)

model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(dataset=dict(_base_.photos, pipeline=train_pipeline)))
optim_wrapper = dict(optimizer=dict(lr=5e-3))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
