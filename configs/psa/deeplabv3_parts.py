# The run of ../lpcam/deeplabv3_parts.py with PSA before the segmentor.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/psa.py']

stages = dict(_base_.seed_stages, **_base_.psa_stages, _delete_=True)
# the classifier says which maps
stages['maps'].model = dict(test_cfg=dict(bg_thr=0.39))
stage_configs = dict(
    psa_labels='{{ fileDirname }}/psa-labels_parts.py',
    psa='{{ fileDirname }}/psa_r18_parts.py')
