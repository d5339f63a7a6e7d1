# voc-animals: the photos of five animals in PASCAL VOC 2012, in the layout of
# VOC, with their tags in a table. VOC_ANIMALS names its folder.
data_root = '{{$VOC_ANIMALS:data/voc-animals}}'
metainfo = dict(
    classes=('background', 'cat', 'cow', 'dog', 'horse', 'sheep'),
    palette=[[0, 0, 0], [64, 0, 0], [64, 128, 0], [64, 0, 128], [192, 0, 128],
             [128, 64, 0]])
num_classes = len(metainfo['classes'])
image_labels = dict(type='CSVLabels', csv_file=data_root + '/tags.csv')
photos = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='ImageSets/Segmentation/train_aug.txt',
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'))
masked_photos = dict(
    photos, ann_file='ImageSets/Segmentation/train.txt', test_mode=True)
val_photos = dict(masked_photos, ann_file='ImageSets/Segmentation/val.txt')

load, pack = dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
photo_pipeline = [load, pack]
score_pipeline = [load, dict(type='LoadAnnotations'), pack]
train_dataset = dict(labels=image_labels, dataset=photos)
# Prototypes come from `train`, as in the official code for VOC.
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=image_labels,
    dataset=dict(masked_photos, pipeline=photo_pipeline))
# Masks are made for all photos that the segmentor trains on.
label_dataset = dict(
    prototype_dataset,
    dataset=dict(photos, test_mode=True, pipeline=photo_pipeline))
prototypes = dict(
    type='PrototypeBankHook', dataset=prototype_dataset, num_workers=0)
# Seeds are scored on `train`, as the field does.
score_dataset = dict(
    prototype_dataset, dataset=dict(masked_photos, pipeline=score_pipeline))
score_evaluator = dict(type='CAMIoUMetric', split='voc-animals train')
