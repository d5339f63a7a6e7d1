# Image labels of coco-mini in, trained DeepLabV3 out, in one run on a CPU.
_base_ = './deeplabv3_coco-mini.py'
runner_type = 'Runner'
stages = dict(_delete_=True)
stage_configs = dict(_delete_=True)

# ---- often changed ---------------------------------------------------------
max_epochs = 40
model = dict(
    auxiliary_head=dict(
        type='CAMHead',
        in_channels=320,
        num_classes=_base_.num_classes,
        num_clusters=50,  # K, for class and context prototypes each
        stride=16,
        scales=(1.0, 0.5, 1.5)))
prototypes = dict(
    labels=dict(dataset=_base_.label_dataset, bg_thr=0.5),
    begin=20,  # epochs on the image labels alone
    interval=10,  # from one bank, and one set of masks, to the next
    fg_thr=0.25,  # tau, splits features by their CAM
    mu_f=0.5,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.,  # ... and above it
    init='k-means++')

masks = _base_.train_dataloader.dataset
masks.label_dir = None  # PrototypeBankHook makes them
masks.dataset.pipeline[1].type = 'LoadPseudoLabel'
masks.dataset.pipeline[2].ratio_range = (0.6, 1.2)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=masks))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
custom_hooks = [*_base_.custom_hooks, dict(_base_.prototypes, **prototypes)]
