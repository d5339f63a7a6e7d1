# AMN on LPCAM, then IRN, on PASCAL VOC 2012. Never run on VOC.
_base_ = ['../irn/deeplabv2_voc.py', '../_base_/chains/amn.py']

stages = _base_.amn_stages
stage_configs = dict(amn='{{ fileDirname }}/amn_r50_voc.py')
