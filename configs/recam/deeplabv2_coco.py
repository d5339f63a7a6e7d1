# LPCAM on ReCAM, then IRN, on MS COCO. Never run on COCO.
_base_ = ['../irn/deeplabv2_coco.py', '../_base_/chains/recam.py']

stages = dict(
    recam=_base_.recam_stage,
    maps=_base_.recam_maps,
    seed=dict(config='recam'))
stage_configs = dict(recam='{{ fileDirname }}/recam_r50_coco.py')
