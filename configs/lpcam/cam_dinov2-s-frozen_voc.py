# Classifier and prototypes on the frozen tokens of DINOv2-small from
# transformers (pip install transformers), on PASCAL VOC 2012. DINOV2_SMALL
# names the file of its weights, of facebook/dinov2-small. Never run on VOC.
_base_ = './cam_r50_voc.py'

weights = '{{$DINOV2_SMALL:data/weights/dinov2-small/model.safetensors}}'

# ---- often changed ---------------------------------------------------------
crop_size = (448, 448)  # whole patches
final_norm = True  # of the tokens
optim_wrapper = dict(optimizer=dict(lr=0.01))  # the head ten times as much

model = dict(
    backbone=dict(
        _delete_=True,
        type='FrozenBackbone',
        backbone=dict(
            type='HFBackbone',
            config=dict(
                model_type='dinov2',
                hidden_size=384,
                num_hidden_layers=12,
                num_attention_heads=6,
                patch_size=14,
                image_size=518),
            final_norm=final_norm,
            init_cfg=dict(type='Pretrained', checkpoint=weights))),
    decode_head=dict(in_channels=384, stride=14, rounding='floor'))
_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
