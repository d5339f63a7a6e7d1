# MCTformer V2 with LPCAM in the place of PatchCAM, then IRN, on MS COCO. Never
# run on COCO.
_base_ = ['../irn/deeplabv2_coco.py', '../_base_/chains/mct.py']

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-s_coco.py')
stages = dict(maps=_base_.mct_maps)
