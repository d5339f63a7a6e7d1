# The run of ../lpcam/deeplabv3_parts.py with the background of saliency maps.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/edam.py']

stages = dict(_base_.seed_stages, **_base_.edam_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.4
stage_configs = dict(saliency='{{ fileDirname }}/saliency_parts.py')
