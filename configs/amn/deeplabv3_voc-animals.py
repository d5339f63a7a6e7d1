# The run of ../irn/deeplabv3_voc-animals.py with AMN before IRN.
_base_ = ['../irn/deeplabv3_voc-animals.py', '../_base_/chains/amn.py']

stages = _base_.amn_stages
stage_configs = dict(amn='{{ fileDirname }}/amn_m-v2_voc-animals.py')
