# coco-mini: real COCO photos with the 12 super-categories as classes.
# COCO_MINI names its folder.
data_root = '{{$COCO_MINI:data/coco-mini}}'
metainfo = dict(
    classes=('background', 'person', 'vehicle', 'outdoor', 'animal',
             'accessory', 'sports', 'kitchen', 'food', 'furniture',
             'electronic', 'appliance', 'indoor'),
    palette=[[0, 0, 0], [220, 20, 60], [0, 60, 200], [250, 170, 30],
             [120, 80, 40], [180, 60, 220], [0, 200, 200], [150, 150, 150],
             [255, 240, 60], [90, 130, 40], [70, 70, 120], [200, 120, 160],
             [40, 200, 90]])
num_classes = len(metainfo['classes'])
image_labels = dict(
    type='COCOJSONLabels',
    ann_file=data_root + '/annotations/instances_train2017_super.json')
photos = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=metainfo,
    data_prefix=dict(img_path='train2017', seg_map_path='masks/train2017'))
val_photos = dict(
    photos,
    data_prefix=dict(img_path='val2017', seg_map_path='masks/val2017'),
    test_mode=True)

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
score_evaluator = dict(type='CAMIoUMetric', split='the training photos')
