# Classifier and prototypes on the frozen features of an EfficientNet-Lite2 of
# timm (pip install timm), on voc-animals, for a CPU. EFFICIENTNET_LITE2 names
# the file of its weights.
_base_ = './cam_m-v2_voc-animals.py'

weights = '{{$EFFICIENTNET_LITE2:data/weights/efficientnet_lite2.pth}}'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=3)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

model = dict(
    backbone=dict(
        _delete_=True,
        type='FrozenBackbone',
        backbone=dict(
            type='TIMMBackbone',
            model_name='tf_efficientnet_lite2',
            features_only=True,
            output_stride=16,
            out_indices=(3, 4),
            pretrained_cfg_overlay=dict(file=weights))),
    neck=None,
    decode_head=dict(in_channels=352))
