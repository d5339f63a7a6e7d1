# AMN on LPCAM, then IRN, on PASCAL VOC 2012. Never run on VOC.
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc12_pseudo_labels_321.py',
    '../_base_/schedules/deeplabv2_20k.py', '../_base_/chains/amn.py',
    '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
stage_configs = dict(
    classifier='{{ fileDirname }}/../lpcam/cam_r50_voc.py',
    ir_labels='{{ fileDirname }}/../irn/ir-labels_voc.py',
    amn='{{ fileDirname }}/amn_r50_voc.py',
    irn='{{ fileDirname }}/../irn/irn_r50_voc.py')
