# The paper's pipeline on MS COCO: LPCAM, IRN, DeepLabV2-ResNet-101.
# `tools/test.py --tta` adds the CRF.
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/coco_pseudo_labels_321.py',
    '../_base_/schedules/deeplabv2_20k.py', '../_base_/chains/irn_coco.py',
    '../_base_/default_runtime.py'
]

max_iters = 200000  # 100k steps of two batches
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=81))
train_dataloader = dict(batch_size=10)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=max_iters,
        by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=20000)
