# CAM in the place of LPCAM, at the thresholds of IRN.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(
    maps=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))),
    # as high as 0.3 and 0.05
    psa_labels=dict(model=dict(test_cfg=dict(alphas=(3.4, 58)))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.25))))
