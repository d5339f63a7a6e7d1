# Classifier and prototypes on coco-mini, for a CPU.
_base_ = [
    '../_base_/models/cam_m-v2-d16.py',
    '../_base_/datasets/coco_mini_image_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
max_epochs = 20
num_clusters = 50  # K, for class and context prototypes each
fg_thr = 0.25  # tau, splits features by their CAM
# a classifier trained on few photos is less confident: softer selection
mu_f = 0.5  # class prototypes score above it
mu_b = 0.5  # context prototypes score below it ...
mu_b_low = 0.  # ... and above it
scales = (1.0, 0.5, 1.5)
# ----------------------------------------------------------------------------

model = dict(decode_head=dict(num_clusters=num_clusters, scales=scales))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [
    dict(type='ChannelsLastHook'),
    dict(type='IterSeedHook'),
    dict(
        type='PrototypeBankHook',
        dataset=_base_.prototype_dataset,
        num_workers=0,
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low,
        # with K = 12 and random starts, seeds differ by two points of mIoU
        init='k-means++')
]
