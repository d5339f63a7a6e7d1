# ReCAM's own maps in the place of LPCAM, at its thresholds for VOC.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='recam', bg_thr=0.21))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.35, bg_thr=0.1))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.28))))
