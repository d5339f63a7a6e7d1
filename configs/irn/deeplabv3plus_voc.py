# LPCAM, IRN and DeepLabV3+ on PASCAL VOC 2012.
_base_ = './deeplabv3_voc.py'

model = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead', c1_in_channels=256, c1_channels=48))
