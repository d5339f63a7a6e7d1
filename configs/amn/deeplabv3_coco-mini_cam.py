# CAM in the place of LPCAM, as the first stage of AMN.
_base_ = './deeplabv3_coco-mini.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.41))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.55, bg_thr=0.3))))
