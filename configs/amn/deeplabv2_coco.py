# AMN on LPCAM, then IRN, on MS COCO. Never run on COCO.
_base_ = ['../irn/deeplabv2_coco.py', '../_base_/chains/amn.py']

stages = _base_.amn_stages
stages.labels.model.test_cfg.bg_thr = 0.22
stage_configs = dict(amn='{{ fileDirname }}/amn_r50_coco.py')
