# PASCAL VOC 2012 with image labels.
data_root = 'data/VOCdevkit/VOC2012'
num_classes = 21
image_labels = dict(type='VOCXMLLabels', ann_dir=data_root + '/Annotations')
photos = dict(
    type='PascalVOCDataset',
    data_root=data_root,
    data_prefix=dict(img_path='JPEGImages'),
    ann_file='ImageSets/Segmentation/train_aug.txt')
masked_photos = dict(
    photos,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    ann_file='ImageSets/Segmentation/train.txt',
    test_mode=True)
val_photos = dict(masked_photos, ann_file='ImageSets/Segmentation/val.txt')

load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
photo_pipeline = [load, pack]
score_pipeline = [load, dict(type='LoadAnnotations'), pack]
train_dataset = dict(labels=image_labels, dataset=photos)
# Prototypes come from the 1464 images of `train`, as in the official code.
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(
        photos,
        ann_file='ImageSets/Segmentation/train.txt',
        test_mode=True,
        pipeline=photo_pipeline))
# Masks are made for all images that the segmentor trains on.
label_dataset = dict(
    prototype_dataset,
    dataset=dict(photos, test_mode=True, pipeline=photo_pipeline))
# Seeds are scored on `train`, which has masks.
prototypes = dict(type='PrototypeBankHook', dataset=prototype_dataset)
score_dataset = dict(
    prototype_dataset, dataset=dict(masked_photos, pipeline=score_pipeline))
score_evaluator = dict(type='CAMIoUMetric', split='VOC 2012 train')
