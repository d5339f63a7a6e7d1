# The maps of a jointly trained model, scored on VOC 2012 train.
_base_ = './deeplabv3_voc_joint.py'

model = dict(
    type='CAMSegmentor',
    test_cfg=dict(
        _delete_=True,
        map_type='lpcam',
        extra_map_types=('cam', 'lpcam_f'),
        bg_thr=_base_.prototypes.labels.bg_thr))
test_dataloader = dict(dataset=dict(_delete_=True, **_base_.score_dataset))
test_evaluator = dict(_delete_=True, **_base_.score_evaluator)
