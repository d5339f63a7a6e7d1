# CAM in the place of LPCAM, as the first stage of AMN.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.3, bg_thr=0.05))))
