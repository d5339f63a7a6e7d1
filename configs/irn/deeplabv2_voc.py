# The paper's pipeline on PASCAL VOC 2012: LPCAM, IRN, DeepLabV2-ResNet-101.
# `tools/test.py --tta` adds the CRF.
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc12_pseudo_labels_321.py',
    '../_base_/schedules/deeplabv2_20k.py', '../_base_/chains/irn_voc.py',
    '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
