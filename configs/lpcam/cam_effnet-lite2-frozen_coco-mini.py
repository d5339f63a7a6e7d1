# Classifier and prototypes on the frozen features of an EfficientNet-Lite2 of
# timm, on coco-mini, for a CPU.
_base_ = ['./cam_m-v2_coco-mini.py', '../_base_/models/effnet-lite2-frozen.py']

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

model = dict(
    backbone=dict(_delete_=True, **_base_.frozen_backbone),
    neck=None,
    decode_head=dict(in_channels=_base_.frozen_channels))
