# CAM in the place of LPCAM, whose scores are much lower.
_base_ = './deeplabv3_parts.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.08))),
    psa_labels=dict(model=dict(test_cfg=dict(alphas=(5, 60)))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.15))))
