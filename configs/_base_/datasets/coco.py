# MS COCO with image labels. COCO_YEAR is 2014, the paper's, or 2017.
# tools/dataset_converters/coco_objects.py makes the masks.
year = '{{$COCO_YEAR:2014}}'
train, val = f'train{year}', f'val{year}'
data_root = 'data/coco'
num_classes = 81
image_labels = dict(
    type='COCOJSONLabels',
    ann_file=f'{data_root}/annotations/instances_{train}.json')
photos = dict(
    type='COCOObjectsDataset',
    data_root=data_root,
    data_prefix=dict(img_path=train))
masked_photos = dict(
    photos,
    data_prefix=dict(img_path=train, seg_map_path='masks/' + train),
    test_mode=True)
val_photos = dict(
    masked_photos, data_prefix=dict(img_path=val, seg_map_path='masks/' + val))

load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
photo_pipeline = [load, pack]
score_pipeline = [load, dict(type='LoadAnnotations'), pack]
train_dataset = dict(labels=image_labels, dataset=photos)
# all images: PrototypeBankHook draws some of each class
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(photos, test_mode=True, pipeline=photo_pipeline))
label_dataset = prototype_dataset
prototypes = dict(type='PrototypeBankHook', dataset=prototype_dataset)
score_dataset = dict(
    prototype_dataset, dataset=dict(masked_photos, pipeline=score_pipeline))
score_evaluator = dict(type='CAMIoUMetric', split=f'COCO {year} train')
