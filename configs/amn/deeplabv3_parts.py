# The run of ../irn/deeplabv3_parts.py with AMN before IRN.
_base_ = ['../irn/deeplabv3_parts.py', '../_base_/chains/amn.py']

stages = _base_.amn_stages
stage_configs = dict(amn='{{ fileDirname }}/amn_r18_parts.py')
