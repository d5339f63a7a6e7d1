# MCTformer V2 on DeiT-tiny, and prototypes, on coco-mini.
_base_ = [
    '../_base_/models/mct_deit-t.py', '../_base_/datasets/coco_mini.py',
    '../_base_/datasets/image_labels.py',
    '../_base_/datasets/mct_small_photos.py', '../_base_/schedules/mct.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=60)
batch_size = 16
crop_size = (224, 224)
model = dict(
    backbone=dict(num_classes=_base_.num_classes),
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=50))  # K, for class and context prototypes each
prototypes = dict(
    fg_thr=0.25,  # tau, splits features by their CAM
    mu_f=0.5,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.,  # ... and above it
    init='k-means++')

_base_.train_dataset.dataset.pipeline = _base_.mct_pipeline
_base_.train_dataset.dataset.pipeline[4].crop_size = crop_size
train_dataloader = dict(batch_size=batch_size, dataset=_base_.train_dataset)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
custom_hooks = [*_base_.custom_hooks, dict(_base_.prototypes, **prototypes)]
