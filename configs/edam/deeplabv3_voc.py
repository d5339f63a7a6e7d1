# LPCAM with the background of saliency maps, as EDAM has it, on PASCAL VOC
# 2012. Never run on VOC.
_base_ = ['../lpcam/deeplabv3_voc.py', '../_base_/chains/edam.py']

stages = dict(_base_.seed_stages, **_base_.edam_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
stage_configs = dict(saliency='{{ fileDirname }}/saliency_voc.py')
