# CAM in the place of LPCAM, at the threshold that IRN gives for CAM seeds.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(
    labels=dict(model=dict(test_cfg=dict(map_type='cam', bg_thr=0.15))))
