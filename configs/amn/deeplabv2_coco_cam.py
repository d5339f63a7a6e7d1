# CAM as the first stage of AMN. Its paper does not state the thresholds of its
# labels on COCO; the official script hints at these.
_base_ = './deeplabv2_coco.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.35, bg_thr=0.15))))
