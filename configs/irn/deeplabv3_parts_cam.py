# CAM in the place of LPCAM; scores tuned for it on the training images.
_base_ = './deeplabv3_parts.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.08))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.25, bg_thr=0.0))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.15))))
