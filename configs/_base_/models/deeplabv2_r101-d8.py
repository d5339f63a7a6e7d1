# DeepLabV2 as in deeplab-pytorch, which the LPCAM paper trains: ResNet-101
# with output stride 8, ASPP of four 3x3 convolutions, maximum over the scales
# 0.5, 0.75 and 1, cross-entropy over the labelled pixels in low resolution.
# Batch norm is frozen with its parameters: batches of 5 are too small for it.
# deeplab-pytorch starts from COCO segmentation weights; weakly supervised
# papers start from ImageNet, here with torchvision's ResNet, whose strides lie
# on the 3x3 convolutions.
_base_ = './imagenet.py'

model = dict(
    type='MultiScaleSegmentor',
    scales=(0.5, 0.75),
    backbone=dict(
        type='ResNet',
        depth=101,
        out_indices=(3, ),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        contract_dilation=False,  # the first block of a stage as the others
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet101-5d3b4d8f.pth')),
    decode_head=dict(
        type='ASPPV2Head', in_channels=2048, dilations=(6, 12, 18, 24)),
    test_cfg=dict(mode='whole'))
