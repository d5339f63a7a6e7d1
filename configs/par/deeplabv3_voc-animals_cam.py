# CAM in the place of LPCAM, at the background score of the LPCAM paper.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.15))))
