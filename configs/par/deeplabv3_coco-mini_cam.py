# CAM in the place of LPCAM.
_base_ = './deeplabv3_coco-mini.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.41))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.44))))
