# MCTformer V2 with LPCAM in the place of PatchCAM on the generated dataset.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/mct.py']

stage_configs = dict(classifier='{{ fileDirname }}/mct_tiny_parts.py')
stages = dict(labels=_base_.mct_maps)
