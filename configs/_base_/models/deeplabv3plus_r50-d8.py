# DeepLabV3+ as in mmseg.
_base_ = './deeplabv3_r50-d8.py'

model = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead', c1_in_channels=256, c1_channels=48))
