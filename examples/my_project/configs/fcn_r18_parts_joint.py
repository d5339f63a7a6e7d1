# The segmentor of the project from image labels, in one run: CAMHead learns
# them beside the decode head, whose masks are made of its maps.
_base_ = './fcn_r18_parts.py'
custom_imports = dict(imports=['mmlpcam'], allow_failed_imports=False)

warmup_iters = 400  # on the image labels alone
refresh_iters = 200  # from one set of masks to the next

image_labels = dict(
    type='VOCXMLLabels', ann_dir=_base_.data_root + '/Annotations')
images_to_label = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(
        _base_.train_dataloader.dataset,
        data_prefix=dict(img_path='JPEGImages'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='PackSegInputs'),
        ]))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPseudoLabel'),  # not LoadAnnotations
    *_base_.train_pipeline[2:]
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            type='PseudoLabelDataset',
            label_dir=None,  # PrototypeBankHook makes them
            dataset=dict(
                _base_.train_dataloader.dataset, pipeline=train_pipeline))))

model = dict(
    auxiliary_head=dict(
        type='CAMHead',
        in_channels=128,
        num_classes=len(_base_.metainfo.classes),
        num_clusters=12,
        stride=8,
        scales=(1.0, )))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
custom_hooks = [
    dict(
        type='PrototypeBankHook',
        dataset=images_to_label,
        labels=dict(dataset=images_to_label, bg_thr=0.4),
        by_epoch=False,
        begin=warmup_iters,
        interval=refresh_iters,
        fg_thr=0.25,  # tau, splits features by their CAM
        mu_f=0.5,  # class prototypes score above it
        mu_b=0.5,  # context prototypes score below it ...
        mu_b_low=0.)  # ... and above it
]
