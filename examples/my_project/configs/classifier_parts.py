# The classifier of mmlpcam on the images of the project. Their labels are
# read from XML files; see ImageLabelDataset for other sources.
_base_ = [
    './_base_/datasets/parts.py',
    # for photos: cam_r50-d16.py, which starts from ImageNet weights
    __import__('mmlpcam').config_path('_base_/models/cam_r18-d4_parts.py'),
    __import__('mmlpcam').config_path('_base_/schedules/epochs.py'),
    __import__('mmlpcam').config_path('_base_/default_runtime.py')
]

max_epochs = 18
num_clusters = 12  # K, for class and context prototypes each
scales = (1.0, )

image_labels = dict(
    type='VOCXMLLabels', ann_dir=_base_.data_root + '/Annotations')
# without masks: nothing but the scores reads them
images = dict(
    type='BaseSegDataset',
    data_root=_base_.data_root,
    metainfo=_base_.metainfo,
    data_prefix=dict(img_path='JPEGImages'),
    ann_file='ImageSets/Segmentation/train.txt')
images_to_label = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(
        images,
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='PackSegInputs'),
        ]))

train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            images,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='RandomFlip',
                    prob=0.5,
                    direction=['horizontal', 'vertical']),
                dict(type='PackSegInputs'),
            ])))
label_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=images_to_label)

# Maps are scored on the masks of the training images.
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            _base_.train_dataloader.dataset,
            test_mode=True,
            pipeline=_base_.test_pipeline)))
test_evaluator = dict(
    _delete_=True, type='CAMIoUMetric', split='the training images')
test_cfg = dict(type='TestLoop')
# A classifier has no masks to validate.
val_dataloader = None
val_evaluator = None

model = dict(
    decode_head=dict(
        num_classes=len(_base_.metainfo.classes),
        num_clusters=num_clusters,
        scales=scales))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
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
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [
    dict(type='ChannelsLastHook'),  # faster on a CPU
    dict(
        type='PrototypeBankHook',
        dataset=images_to_label,
        fg_thr=0.25,  # tau, splits features by their CAM
        mu_f=0.5,  # class prototypes score above it
        mu_b=0.5,  # context prototypes score below it ...
        mu_b_low=0.)  # ... and above it
]
