# Image labels of PASCAL VOC 2012 in, trained DeepLabV3 out, in one run:
# CAMHead is an auxiliary head, and the masks follow it. Never run on VOC.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py',
    '../_base_/datasets/voc12_joint.py', '../_base_/schedules/schedule_20k.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
warmup_iters = 4000  # on the image labels alone
refresh_iters = 4000  # from one bank, and one set of masks, to the next
bg_thr = 0.3  # background score of the masks
num_clusters = 12  # K, for class and context prototypes each
fg_thr = 0.1  # tau, splits features by their CAM
mu_f = 0.9  # class prototypes score above it
mu_b = 0.9  # context prototypes score below it ...
mu_b_low = 0.05  # ... and above it (official code; 0 in the paper)
scales = (1.0, 0.5, 1.5, 2.0)
# ----------------------------------------------------------------------------

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    auxiliary_head=dict(
        _delete_=True,
        type='CAMHead',
        in_channels=2048,
        in_index=3,
        num_classes=21,
        num_clusters=num_clusters,
        stride=8,
        scales=scales))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
custom_hooks = [
    dict(
        type='PrototypeBankHook',
        dataset=_base_.prototype_dataset,
        labels=dict(dataset=_base_.label_dataset, bg_thr=bg_thr),
        by_epoch=False,
        begin=warmup_iters,
        interval=refresh_iters,
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low)
]
