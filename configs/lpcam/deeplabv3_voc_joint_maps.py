# The maps of a jointly trained model instead of its segmentor, scored on VOC
# 2012 train: tools/test.py with its checkpoint.
_base_ = './deeplabv3_voc_joint.py'

model = dict(
    type='CAMSegmentor',
    test_cfg=dict(
        _delete_=True,
        map_type='lpcam',
        extra_map_types=('cam', 'lpcam_f'),
        bg_thr=_base_.bg_thr))
score_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(
            _base_.train_images,
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
            test_mode=True,
            pipeline=score_pipeline)))
test_evaluator = dict(
    _delete_=True, type='CAMIoUMetric', split='VOC 2012 train')
