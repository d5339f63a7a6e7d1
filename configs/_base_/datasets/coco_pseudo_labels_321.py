# MS COCO (80 classes) with the masks of the stage `labels`: pipelines of
# deeplab-pytorch, validation on true masks. COCO_YEAR is 2014 or 2017.
_base_ = './voc12_pseudo_labels_321.py'

year = '{{$COCO_YEAR:2014}}'
data_root = 'data/coco'
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='COCOObjectsDataset',
            data_root=data_root,
            data_prefix=dict(img_path=f'train{year}'),
            pipeline=_base_.train_pipeline)))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='COCOObjectsDataset',
        data_root=data_root,
        data_prefix=dict(
            img_path=f'val{year}', seg_map_path=f'masks/val{year}'),
        test_mode=True,
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
