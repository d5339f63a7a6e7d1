# LPCAM in the second stage of AMN, on CAM in the first: experimental, see
# docs/methods.md. Never run on VOC.
_base_ = './deeplabv2_voc.py'

stages = dict(
    # as in deeplabv2_voc_cam.py
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))),
    ir_labels=dict(model=dict(test_cfg=dict(fg_thr=0.3, bg_thr=0.05))),
    # as for LPCAM of a classifier
    amn_labels=dict(model=dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))),
    labels=dict(model=dict(test_cfg=dict(power=1., bg_thr=0.35))))
stage_configs = dict(amn='{{ fileDirname }}/amn-lpcam_r50_voc.py')
