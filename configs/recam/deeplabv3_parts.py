# The run of ../lpcam/deeplabv3_parts.py with ReCAM behind the classifier.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/recam.py']

stages = dict(
    recam=_base_.recam_stage,
    labels=_base_.recam_maps,
    seed=dict(config='recam'))
stage_configs = dict(recam='{{ fileDirname }}/recam_r18_parts.py')
