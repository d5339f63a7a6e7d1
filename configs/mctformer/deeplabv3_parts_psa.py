# MCTformer V2 with LPCAM, then PSA, as its paper refines it.
_base_ = '../psa/deeplabv3_parts.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_tiny_parts.py')
