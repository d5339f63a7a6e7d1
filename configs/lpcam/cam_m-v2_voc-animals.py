# Classifier and prototypes on voc-animals.
_base_ = [
    '../_base_/models/cam_m-v2-d16.py', '../_base_/datasets/voc_animals.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (224, 224)
train_dataloader = dict(batch_size=16, dataset=_base_.train_dataset)
train_cfg = dict(max_epochs=3)
model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=12,  # K, for class and context prototypes each
        scales=(1.0, 0.5, 1.5)))
prototypes = dict(
    fg_thr=0.1,  # tau, splits features by their CAM
    mu_f=0.9,  # class prototypes score above it
    mu_b=0.9,  # context prototypes score below it ...
    mu_b_low=0.05)  # ... and above it (official code; 0 in the paper)

_base_.train_dataset.dataset.pipeline = [
    _base_.load,
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(224, 449, 16)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomCanvasCrop', crop_size=crop_size, img_pad_val=127.5),
    _base_.pack
]
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
optim_wrapper = dict(
    optimizer=dict(lr=3e-4, weight_decay=1e-2), paramwise_cfg=_base_.fast_head)
custom_hooks = [*_base_.custom_hooks, dict(_base_.prototypes, **prototypes)]
