# The paper's pipeline on PASCAL VOC 2012: LPCAM, IRN, DeepLabV2-ResNet-101.
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc12_pseudo_labels_321.py',
    '../_base_/schedules/deeplabv2_20k.py', '../_base_/chains/irn.py',
    '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
stage_configs = dict(
    classifier='{{ fileDirname }}/../lpcam/cam_r50_voc.py',
    ir_labels='{{ fileDirname }}/ir-labels_voc.py',
    irn='{{ fileDirname }}/irn_r50_voc.py')
