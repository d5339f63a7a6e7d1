# The generated data set of tools/dataset_converters/make_parts_dataset.py.
data_root = '{{$PARTS_DATASET:data/parts}}'
num_classes = 6
image_labels = dict(type='VOCXMLLabels', ann_dir=data_root + '/Annotations')
photos = dict(
    type='PartsDataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/train.txt')
val_photos = dict(
    photos, ann_file='ImageSets/Segmentation/val.txt', test_mode=True)

flip = dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical'])
load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
photo_pipeline = [load, pack]
score_pipeline = [load, dict(type='LoadAnnotations'), pack]
train_dataset = dict(labels=image_labels, dataset=photos)
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(photos, test_mode=True, pipeline=photo_pipeline))
label_dataset = prototype_dataset
prototypes = dict(
    type='PrototypeBankHook', dataset=prototype_dataset, num_workers=0)
score_dataset = dict(
    prototype_dataset,
    dataset=dict(photos, test_mode=True, pipeline=score_pipeline))
score_evaluator = dict(type='CAMIoUMetric', split='the training images')
