# The classifier of the paper and its prototypes, on MS COCO.
_base_ = [
    '../_base_/models/cam_r50-d16.py', '../_base_/datasets/coco.py',
    '../_base_/datasets/cam_512.py', '../_base_/schedules/cam.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (512, 512)
train_dataloader = dict(batch_size=16, dataset=_base_.train_dataset)
train_cfg = dict(max_epochs=5)
model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=20,  # K, for class and context prototypes each
        scales=(1.0, 0.5, 1.5, 2.0)))
prototypes = dict(
    fg_thr=0.25,  # tau, splits features by their CAM
    mu_f=0.9,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.,  # ... and above it
    images_per_class=100,  # drawn with replacement
    seed=666,
    # The official code keeps all features, up to 120 000 per class; this bound
    # keeps the memory of all classes below 27 GB.
    max_features_per_class=20000)

_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
custom_hooks = [dict(_base_.prototypes, **prototypes)]
