# The classifier of the paper and its prototypes, on MS COCO 2014 (or 2017,
# with COCO_YEAR=2017 in the environment).
_base_ = [
    '../_base_/models/cam_r50-d16.py',
    '../_base_/datasets/coco_image_labels.py', '../_base_/schedules/cam_5e.py',
    '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
num_clusters = 20  # K, for class and context prototypes each
fg_thr = 0.25  # tau, splits features by their CAM
mu_f = 0.9  # class prototypes score above it
mu_b = 0.5  # context prototypes score below it ...
mu_b_low = 0.  # ... and above it
images_per_class = 100  # drawn with replacement
scales = (1.0, 0.5, 1.5, 2.0)
# ----------------------------------------------------------------------------

model = dict(
    decode_head=dict(num_classes=81, num_clusters=num_clusters, scales=scales))
custom_hooks = [
    dict(
        type='PrototypeBankHook',
        dataset=_base_.prototype_dataset,
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low,
        images_per_class=images_per_class,
        seed=666,
        # The official code keeps all features, up to 120 000 per class; this
        # bound keeps the memory of all classes below 26 GB.
        max_features_per_class=20000)
]
