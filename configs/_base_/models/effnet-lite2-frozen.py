# An EfficientNet-Lite2 of timm (pip install timm) that stays as it is, for the
# `model` of a leaf config. EFFICIENTNET_LITE2 names the file of its weights.
frozen_backbone = dict(
    type='FrozenBackbone',
    backbone=dict(
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite2',
        features_only=True,
        output_stride=16,
        out_indices=(3, 4),
        pretrained_cfg_overlay=dict(
            file='{{$EFFICIENTNET_LITE2:data/weights/efficientnet_lite2.pth}}')
    ))
frozen_channels = 352
