# The maps of a jointly trained model instead of its segmentor, scored on the
# training photos: tools/test.py with its checkpoint.
_base_ = './deeplabv3_coco-mini_joint.py'

model = dict(
    type='CAMSegmentor',
    test_cfg=dict(
        _delete_=True,
        map_type='lpcam',
        extra_map_types=('cam', 'lpcam_f'),
        bg_thr=_base_.bg_thr))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(
            _base_.photos, test_mode=True, pipeline=_base_.score_pipeline)))
test_evaluator = dict(
    _delete_=True, type='CAMIoUMetric', split='the training photos')
