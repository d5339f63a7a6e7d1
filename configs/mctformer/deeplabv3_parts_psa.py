# MCTformer V2 with LPCAM, then PSA, as its paper refines it.
_base_ = '../psa/deeplabv3_parts.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_tiny_parts.py')
# the classifier has no ResNet to start from
stages = dict(psa=dict(model=dict(backbone=dict(init_cfg=None))))
