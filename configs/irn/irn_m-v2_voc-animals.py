# IRNet on voc-animals: maps and labels of `ir_labels` in, masks out.
_base_ = [
    '../_base_/models/irn_m-v2.py', '../_base_/datasets/voc_animals.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=3)
batch_size = 16
crop_size = (288, 288)

model = dict(decode_head=dict(num_classes=_base_.num_classes))
train_pipeline = [
    _base_.load,
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 577, 32)],
        keep_ratio=True),
    dict(type='RandomCanvasCrop', crop_size=crop_size, img_pad_val=127.5),
    dict(type='RandomFlip', prob=0.5), _base_.pack
]
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
optim_wrapper = dict(optimizer=dict(lr=5e-3))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
