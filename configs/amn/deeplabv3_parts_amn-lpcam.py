# LPCAM in the second stage of AMN, on CAM in the first: experimental, see
# docs/methods.md.
_base_ = './deeplabv3_parts_cam.py'

stages = dict(
    amn_maps=dict(model=dict(test_cfg=dict(bg_thr=0.34))),
    # as for LPCAM of a classifier; not tuned
    amn_labels=dict(model=dict(test_cfg=dict(fg_thr=0.55, bg_thr=0.35))),
    labels=dict(model=dict(test_cfg=dict(power=1., bg_thr=0.32))))
stage_configs = dict(amn='{{ fileDirname }}/amn-lpcam_r18_parts.py')
