# LPCAM on an EfficientNet-Lite2 of timm (pip install timm), on PASCAL VOC.
# TIMM_WEIGHTS names a file of its weights; without it timm fetches them.
_base_ = [__import__('mmlpcam').config_path('lpcam/cam_r50_voc.py')]

weights = '{{$TIMM_WEIGHTS:}}'
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite2',
        features_only=True,
        output_stride=16,
        out_indices=(3, 4),
        pretrained_cfg_overlay=dict(file=weights) if weights else dict()),
    decode_head=dict(in_channels=352))
