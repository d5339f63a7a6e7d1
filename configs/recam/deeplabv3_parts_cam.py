# ReCAM's own maps in the place of LPCAM.
_base_ = './deeplabv3_parts.py'

stages = dict(
    labels=dict(model=dict(test_cfg=dict(map_type='recam', bg_thr=0.15))))
