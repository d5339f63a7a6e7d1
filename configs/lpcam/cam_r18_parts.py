# Classifier and prototypes on the generated data set, for a CPU.
_base_ = [
    '../_base_/models/cam_r18-d4_parts.py', '../_base_/datasets/parts.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_dataloader = dict(batch_size=8, dataset=_base_.train_dataset)
train_cfg = dict(max_epochs=18)
model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=12,  # K, for class and context prototypes each
        scales=(1.0, )))
prototypes = dict(
    fg_thr=0.25,  # tau, splits features by their CAM
    mu_f=0.5,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.)  # ... and above it

_base_.train_dataset.dataset.pipeline = [_base_.load, _base_.flip, _base_.pack]
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
optim_wrapper = dict(optimizer=dict(lr=3e-3), paramwise_cfg=_base_.fast_head)
param_scheduler = [_base_.warmup, *_base_.param_scheduler]
custom_hooks = [*_base_.custom_hooks, dict(_base_.prototypes, **prototypes)]
