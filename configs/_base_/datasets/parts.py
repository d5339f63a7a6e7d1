# Settings of the generated dataset that all stages share. Made by
# tools/dataset_converters/make_parts_dataset.py.
data_root = '{{$PARTS_DATASET:data/parts}}'
image_labels = dict(type='VOCXMLLabels', ann_dir=data_root + '/Annotations')
train_images = dict(
    type='PartsDataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/train.txt')
val_images = dict(
    type='PartsDataset',
    data_root=data_root,
    ann_file='ImageSets/Segmentation/val.txt')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs'),
]
score_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
