# Image labels of the generated dataset in, trained DeepLabV3 out, on a CPU
# in minutes: what `make demo` runs.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_pseudo_labels.py',
    '../_base_/schedules/deeplabv3_parts.py', '../_base_/chains/lpcam.py',
    '../_base_/default_runtime.py'
]

stage_configs = dict(classifier='{{ fileDirname }}/cam_r18_parts.py')
# background score of the masks
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.4))))
