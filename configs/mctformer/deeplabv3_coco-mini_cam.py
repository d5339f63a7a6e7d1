# MCTformer V2 as it is, with PatchCAM.
_base_ = './deeplabv3_coco-mini.py'

stages = dict(maps=dict(model=dict(test_cfg=dict(map_type='mct_patchcam'))))
