# The paper's pipeline on MS COCO: LPCAM, IRN, UPerNet-Swin.
_base_ = [
    '../_base_/models/upernet_swin-t.py',
    '../_base_/datasets/coco_pseudo_labels.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/chains/irn_coco.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

max_iters = 80000
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=81),
    auxiliary_head=dict(num_classes=81))
train_dataloader = dict(batch_size=16)  # on one GPU; 16 in all
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(
        type='PolyLR',
        eta_min=0,
        power=1.0,
        begin=1500,
        end=max_iters,
        by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
