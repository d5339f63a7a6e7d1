# AMN on LPCAM, then IRN, on the generated dataset, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_pseudo_labels.py',
    '../_base_/schedules/deeplabv3_parts.py', '../_base_/chains/amn.py',
    '../_base_/default_runtime.py'
]

stage_configs = dict(
    classifier='{{ fileDirname }}/../lpcam/cam_r18_parts.py',
    ir_labels='{{ fileDirname }}/../irn/ir-labels_parts.py',
    amn='{{ fileDirname }}/amn_r18_parts.py',
    irn='{{ fileDirname }}/../irn/irn_r18_parts.py')
stages = dict(
    maps=dict(model=dict(test_cfg=dict(bg_thr=0.4))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.55, bg_thr=0.35))))
