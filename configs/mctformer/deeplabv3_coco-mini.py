# MCTformer V2 with LPCAM in the place of PatchCAM, then PSA, on coco-mini.
_base_ = ['../psa/deeplabv3_coco-mini.py', '../_base_/chains/mct.py']

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-t_coco-mini.py')
stages = dict(maps=_base_.mct_maps)
