# MCTformer V2 with LPCAM in the place of PatchCAM, then PSA, on voc-animals.
_base_ = ['../psa/deeplabv3_voc-animals.py', '../_base_/chains/mct.py']

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-t_voc-animals.py')
stages = dict(maps=_base_.mct_maps)
