# AMN on PASCAL VOC 2012: labels of the stage `ir_labels` and image labels in,
# maps out. Never run on VOC.
_base_ = [
    '../_base_/models/amn_r50.py', '../_base_/datasets/voc12.py',
    '../_base_/datasets/irn_512.py', '../_base_/schedules/amn.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (512, 512)
train_cfg = dict(max_epochs=5)
batch_size = 16
model = dict(
    decode_head=dict(num_classes=_base_.num_classes,
                     smoothing=0.4),  # of the labels
    test_cfg=dict(bg_thr=0.25))

masks = _base_.train_dataloader.dataset
masks.dataset.pipeline[4].crop_size = crop_size
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(masks, dataset=dict(masks.dataset, **_base_.photos))))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
