# LPCAM on ReCAM, then IRN, on PASCAL VOC 2012. Never run on VOC.
_base_ = ['../irn/deeplabv2_voc.py', '../_base_/chains/recam.py']

stages = dict(
    recam=_base_.recam_stage,
    maps=_base_.recam_maps,
    seed=dict(config='recam'))
stage_configs = dict(recam='{{ fileDirname }}/recam_r50_voc.py')
