# MCTformer V2 with LPCAM in the place of PatchCAM, then IRN, on PASCAL VOC
# 2012. The masks of the paper come from PSA instead. Never run on VOC.
_base_ = ['../irn/deeplabv2_voc.py', '../_base_/chains/mct.py']

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-s_voc.py')
stages = dict(maps=_base_.mct_maps)
