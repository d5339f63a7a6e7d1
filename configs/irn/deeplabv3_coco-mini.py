# coco-mini with IRN between labels and segmentor, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_m-v2-d16.py',
    '../_base_/datasets/coco_mini_pseudo_labels.py',
    '../_base_/schedules/deeplabv3_coco-mini.py', '../_base_/chains/irn.py',
    '../_base_/default_runtime.py'
]

stage_configs = dict(
    classifier='{{ fileDirname }}/../lpcam/cam_m-v2_coco-mini.py',
    ir_labels='{{ fileDirname }}/ir-labels_coco-mini.py',
    irn='{{ fileDirname }}/irn_m-v2_coco-mini.py')
# background scores, tuned on the training images (tools/sweep_threshold.py)
stages = dict(
    maps=dict(model=dict(test_cfg=dict(bg_thr=0.5))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.65, bg_thr=0.4))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.58))))
