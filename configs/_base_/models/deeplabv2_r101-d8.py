# DeepLabV2 as in deeplab-pytorch, which the LPCAM paper trains: ResNet-101
# with output stride 8, ASPP of four 3x3 convolutions, maximum over the scales
# 0.5, 0.75 and 1, cross-entropy over the labelled pixels in low resolution.
#
# Batch norm is frozen, statistics and affine parameters: deeplab-pytorch
# keeps the layers in eval mode and leaves their parameters out of the
# optimiser, since batches of 5 are too small for them. It starts from COCO
# segmentation weights; weakly supervised papers start from ImageNet, here
# with torchvision's ResNet, whose strides lie on the 3x3 convolutions.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255)
model = dict(
    type='MultiScaleSegmentor',
    scales=(0.5, 0.75),
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(3, ),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        contract_dilation=False,  # the first block of a stage as the others
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet101-5d3b4d8f.pth')),
    decode_head=dict(
        type='ASPPV2Head',
        in_channels=2048,
        num_classes=21,
        dilations=(6, 12, 18, 24),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True,
            loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
