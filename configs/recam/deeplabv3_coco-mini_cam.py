# ReCAM's own maps in the place of LPCAM.
_base_ = './deeplabv3_coco-mini.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='recam', bg_thr=0.41))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.55, bg_thr=0.3))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.45))))
