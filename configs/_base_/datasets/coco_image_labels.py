# MS COCO (80 classes) with image labels, for the classifier: pipelines and
# batches as on VOC. COCO_YEAR is 2014, the paper's, or 2017.
# tools/dataset_converters/coco_objects.py makes the masks for the scores.
_base_ = './voc12_image_labels.py'

year = '{{$COCO_YEAR:2014}}'
data_root = 'data/coco'
image_labels = dict(
    _delete_=True,
    type='COCOJSONLabels',
    ann_file=f'{data_root}/annotations/instances_train{year}.json')
photos = dict(
    _delete_=True,
    type='COCOObjectsDataset',
    data_root=data_root,
    data_prefix=dict(img_path=f'train{year}'))

train_dataloader = dict(
    dataset=dict(
        labels=image_labels,
        dataset=dict(photos, pipeline=_base_.train_pipeline)))
# all images: the official code draws 100 of each class
prototype_dataset = dict(
    labels=image_labels,
    dataset=dict(photos, test_mode=True, pipeline=_base_.test_pipeline))
test_dataloader = dict(
    dataset=dict(
        labels=image_labels,
        dataset=dict(
            photos,
            data_prefix=dict(
                img_path=f'train{year}', seg_map_path=f'masks/train{year}'),
            test_mode=True,
            pipeline=_base_.score_pipeline)))
test_evaluator = dict(split=f'COCO {year} train')
label_dataloader = dict(dataset=prototype_dataset)
