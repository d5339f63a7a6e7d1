# LPCAM and PSA on the generated dataset, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_pseudo_labels.py',
    '../_base_/schedules/deeplabv3_parts.py', '../_base_/chains/psa.py',
    '../_base_/default_runtime.py'
]

stage_configs = dict(
    classifier='{{ fileDirname }}/../lpcam/cam_r18_parts.py',
    psa_labels='{{ fileDirname }}/psa-labels_parts.py',
    psa='{{ fileDirname }}/psa_r18_parts.py')
