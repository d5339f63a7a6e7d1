# The run of ../irn/deeplabv3_voc-animals.py with ReCAM behind the classifier.
_base_ = ['../irn/deeplabv3_voc-animals.py', '../_base_/chains/recam.py']

stages = dict(
    recam=_base_.recam_stage,
    maps=_base_.recam_maps,
    seed=dict(config='recam'))
stage_configs = dict(recam='{{ fileDirname }}/recam_m-v2_voc-animals.py')
