# deeplabv3_voc_joint.py with a transformer, SegFormer-B2. Never run on VOC.
_base_ = ['../irn/segformer_voc.py', '../_base_/datasets/joint_pipeline.py']
runner_type = 'Runner'
stages = dict(_delete_=True)
stage_configs = dict(_delete_=True)

# ---- often changed ---------------------------------------------------------
model = dict(
    auxiliary_head=dict(
        type='CAMHead',
        in_channels=512,
        in_index=3,
        num_classes=_base_.num_classes,
        num_clusters=12,  # K, for class and context prototypes each
        stride=32,
        scales=(1.0, 0.5, 1.5, 2.0)))
prototypes = dict(
    labels=dict(dataset=_base_.label_dataset, bg_thr=0.3),
    by_epoch=False,
    begin=8000,  # iterations on the image labels alone
    interval=8000,  # from one bank, and one set of masks, to the next
    fg_thr=0.1,  # tau, splits features by their CAM
    mu_f=0.9,  # class prototypes score above it
    mu_b=0.9,  # context prototypes score below it ...
    mu_b_low=0.05)  # ... and above it (official code; 0 in the paper)

masks = _base_.train_dataloader.dataset
masks.label_dir = None  # PrototypeBankHook makes them
masks.dataset.pipeline = _base_.joint_pipeline
masks.dataset.pipeline[4].crop_size = _base_.crop_size
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=masks))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
custom_hooks = [dict(_base_.prototypes, **prototypes)]
