# MCTformer V2 as it is, with PatchCAM.
_base_ = './deeplabv3_voc-animals.py'

stages = dict(maps=dict(model=dict(test_cfg=dict(map_type='mct_patchcam'))))
