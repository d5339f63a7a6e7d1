# The paper's pipeline on MS COCO: LPCAM, IRN, DeepLabV2-ResNet-101.
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py', '../_base_/datasets/coco.py',
    '../_base_/datasets/seg_321.py', '../_base_/schedules/deeplabv2.py',
    '../_base_/chains/irn_coco.py', '../_base_/default_runtime.py'
]

# ---- often changed; K, tau and mu: ../lpcam/cam_r50_coco.py ----------------
stages = dict(_base_.seed_stages, **_base_.irn_stages)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))
stages['labels'].model.test_cfg.bg_thr = 0.35
max_iters = 200000  # 100k steps of two batches
crop_size = (321, 321)
train_dataloader = dict(batch_size=10, dataset=dict(dataset=_base_.photos))

model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(optimizer=dict(lr=2e-4))
_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)
