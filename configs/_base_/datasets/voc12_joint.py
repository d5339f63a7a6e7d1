# PASCAL VOC 2012 train_aug with image labels and the masks that are made of
# them while training.
_base_ = './voc12_pseudo_labels.py'

image_labels = dict(
    type='VOCXMLLabels', ann_dir=_base_.data_root + '/Annotations')
train_images = dict(
    type='PascalVOCDataset',
    data_root=_base_.data_root,
    data_prefix=dict(img_path='JPEGImages'),
    ann_file='ImageSets/Segmentation/train_aug.txt')

# The crops of the classifier: larger scales would cut away what the image
# label promises.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPseudoLabel'),
    # long side from 320 to 640 pixels
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(320, 641)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    # the mean colour (BGR) becomes zero when the model normalises
    dict(
        type='RandomCanvasCrop',
        crop_size=_base_.crop_size,
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
plain_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=image_labels,
        dataset=dict(
            type='PseudoLabelDataset',
            label_dir=None,  # PrototypeBankHook makes them
            dataset=dict(train_images, pipeline=train_pipeline))))

# Prototypes come from the 1464 images of `train`, as in the official code;
# masks are made for all images that the segmentor trains on.
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(
        train_images,
        ann_file='ImageSets/Segmentation/train.txt',
        test_mode=True,
        pipeline=plain_pipeline))
label_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(train_images, test_mode=True, pipeline=plain_pipeline))
