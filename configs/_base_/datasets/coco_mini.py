# Settings of coco-mini that all stages share: real COCO photos with the 12
# super-categories as classes. COCO_MINI names its folder.
data_root = '{{$COCO_MINI:../shared/data/coco-mini}}'
metainfo = dict(
    classes=('background', 'person', 'vehicle', 'outdoor', 'animal',
             'accessory', 'sports', 'kitchen', 'food', 'furniture',
             'electronic', 'appliance', 'indoor'),
    palette=[[0, 0, 0], [220, 20, 60], [0, 60, 200], [250, 170, 30],
             [120, 80, 40], [180, 60, 220], [0, 200, 200], [150, 150, 150],
             [255, 240, 60], [90, 130, 40], [70, 70, 120], [200, 120, 160],
             [40, 200, 90]])
image_labels = dict(
    type='COCOJSONLabels',
    ann_file=data_root + '/annotations/instances_train2017_super.json')
photos = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=metainfo,
    data_prefix=dict(img_path='train2017', seg_map_path='masks/train2017'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs'),
]
score_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
