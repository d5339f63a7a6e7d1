# IRNet on MS COCO: maps and labels of `ir_labels` in, masks out.
_base_ = [
    '../_base_/models/irn_r50.py', '../_base_/datasets/coco.py',
    '../_base_/datasets/irn_512.py', '../_base_/schedules/irn.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (512, 512)
train_dataloader = dict(batch_size=32, dataset=dict(dataset=_base_.photos))
train_cfg = dict(max_epochs=3)

model = dict(decode_head=dict(num_classes=_base_.num_classes))
_base_.train_dataloader.dataset.dataset.pipeline[4].crop_size = crop_size
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
