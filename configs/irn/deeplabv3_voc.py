# LPCAM, IRN and DeepLabV3 on PASCAL VOC 2012.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py',
    '../_base_/datasets/voc12_pseudo_labels.py',
    '../_base_/schedules/schedule_20k.py', '../_base_/chains/irn_voc.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
