# PASCAL VOC 2012 with image labels, for the classifier.
data_root = 'data/VOCdevkit/VOC2012'
image_labels = dict(type='VOCXMLLabels', ann_dir=data_root + '/Annotations')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # long side from 320 to 640 pixels
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(320, 641)],
        keep_ratio=True,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    # the mean colour (BGR) becomes zero when the model normalises
    dict(
        type='RandomCanvasCrop',
        crop_size=(512, 512),
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs'),
]
score_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            ann_file='ImageSets/Segmentation/train_aug.txt',
            pipeline=train_pipeline)))

# Prototypes come from the 1464 images of `train`, as in the official code.
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(
        type='PascalVOCDataset',
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages'),
        ann_file='ImageSets/Segmentation/train.txt',
        test_mode=True,
        pipeline=test_pipeline))

# Seeds are scored on `train`, which has masks.
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
            test_mode=True,
            pipeline=score_pipeline)))
test_evaluator = dict(type='CAMIoUMetric', split='VOC 2012 train')
test_cfg = dict(type='TestLoop')

# Masks are made for all images that the segmentor trains on.
label_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            ann_file='ImageSets/Segmentation/train_aug.txt',
            test_mode=True,
            pipeline=test_pipeline)))
