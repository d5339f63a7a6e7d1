# The main job: image labels of PASCAL VOC 2012 in, trained DeepLabV3 out.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py',
    '../_base_/datasets/voc12_pseudo_labels.py',
    '../_base_/schedules/schedule_20k.py', '../_base_/chains/lpcam.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
stage_configs = dict(classifier='{{ fileDirname }}/cam_r50_voc.py')
