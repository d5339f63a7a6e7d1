# ReCAM as it is, at its own thresholds.
_base_ = './deeplabv2_coco.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='recam', bg_thr=0.15))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.35, bg_thr=0.1))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.25))))
