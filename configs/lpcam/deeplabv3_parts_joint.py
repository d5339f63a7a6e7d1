# Image labels of the generated dataset in, trained DeepLabV3 out, in one run:
# CAMHead is an auxiliary head, and the masks follow it.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_joint.py',
    '../_base_/schedules/deeplabv3_parts.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
warmup_epochs = 12  # on the image labels alone
refresh_epochs = 10  # from one bank, and one set of masks, to the next
max_epochs = 42  # as many on masks as deeplabv3_parts.py has
bg_thr = 0.4  # background score of the masks
num_clusters = 12  # K, for class and context prototypes each
fg_thr = 0.25  # tau, splits features by their CAM
mu_f = 0.5  # class prototypes score above it
mu_b = 0.5  # context prototypes score below it ...
mu_b_low = 0.  # ... and above it
scales = (1.0, )
# ----------------------------------------------------------------------------

# Maps need fine features: the first of the two outputs keeps a stride of 4.
model = dict(
    backbone=dict(strides=(1, 1, 2), dilations=(1, 1, 1)),
    auxiliary_head=dict(
        type='CAMHead',
        in_channels=64,
        in_index=0,
        num_classes=6,
        num_clusters=num_clusters,
        stride=4,
        scales=scales))
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
custom_hooks = [
    dict(type='ChannelsLastHook'),
    dict(type='IterSeedHook'),
    dict(
        type='PrototypeBankHook',
        dataset=_base_.prototype_dataset,
        labels=dict(dataset=_base_.prototype_dataset, bg_thr=bg_thr),
        begin=warmup_epochs,
        interval=refresh_epochs,
        num_workers=0,
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low)
]
