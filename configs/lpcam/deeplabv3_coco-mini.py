# Image labels of coco-mini in, trained DeepLabV3 out, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_m-v2-d16.py',
    '../_base_/datasets/coco_mini_pseudo_labels.py',
    '../_base_/schedules/deeplabv3_coco-mini.py', '../_base_/chains/lpcam.py',
    '../_base_/default_runtime.py'
]

stage_configs = dict(classifier='{{ fileDirname }}/cam_m-v2_coco-mini.py')
# background score of the masks, tuned on the training photos
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.5))))
