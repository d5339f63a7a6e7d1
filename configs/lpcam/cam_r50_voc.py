# The classifier of the paper and its prototypes, on PASCAL VOC 2012.
# Train: tools/train.py; table of CAM, LPCAM-F and LPCAM: tools/test.py.
_base_ = [
    '../_base_/models/cam_r50-d16.py',
    '../_base_/datasets/voc12_image_labels.py',
    '../_base_/schedules/cam_5e.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
num_clusters = 12  # K, for class and context prototypes each
fg_thr = 0.1  # tau, splits features by their CAM
mu_f = 0.9  # class prototypes score above it
mu_b = 0.9  # context prototypes score below it ...
mu_b_low = 0.05  # ... and above it (official code; 0 in the paper)
scales = (1.0, 0.5, 1.5, 2.0)
# ----------------------------------------------------------------------------

model = dict(decode_head=dict(num_clusters=num_clusters, scales=scales))
custom_hooks = [
    dict(
        type='PrototypeBankHook',
        dataset=_base_.prototype_dataset,
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low,
        # The official code keeps all features. An image of 500 x 500 pixels
        # has 1024 positions, so this bound leaves classes of up to 156
        # images whole and thins out `person` (442) only.
        max_features_per_class=160000)
]
