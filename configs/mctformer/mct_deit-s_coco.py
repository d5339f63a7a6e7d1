# MCTformer V2 on MS COCO, and its prototypes. Never run on COCO.
_base_ = [
    '../_base_/models/mct_deit-s.py', '../_base_/datasets/coco.py',
    '../_base_/datasets/mct_224.py', '../_base_/schedules/mct.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=60)
batch_size = 64
crop_size = (224, 224)
model = dict(
    backbone=dict(num_classes=_base_.num_classes),
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=20))  # K, for class and context prototypes each
prototypes = dict(
    fg_thr=0.25,  # tau, splits features by their CAM
    mu_f=0.9,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.,  # ... and above it
    images_per_class=100,  # drawn with replacement
    seed=666,
    max_features_per_class=20000)

train_dataloader = dict(batch_size=batch_size, dataset=_base_.train_dataset)
_base_.train_dataloader.dataset.dataset.pipeline[4].crop_size = crop_size
optim_wrapper = dict(optimizer=dict(lr=5e-4 * batch_size / 512))
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
custom_hooks = [dict(_base_.prototypes, **prototypes)]
