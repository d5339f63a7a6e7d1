# The paper's pipeline on PASCAL VOC 2012: LPCAM, IRN, UPerNet-Swin.
_base_ = [
    '../_base_/models/upernet_swin-t.py', '../_base_/datasets/voc12.py',
    '../_base_/datasets/seg_512.py', '../_base_/schedules/adamw_iters.py',
    '../_base_/chains/irn_voc.py', '../_base_/default_runtime.py'
]

# ---- often changed; K, tau and mu: ../lpcam/cam_r50_voc.py -----------------
stages = dict(_base_.seed_stages, **_base_.irn_stages)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))
stages['labels'].model.test_cfg.bg_thr = 0.35
max_iters = 40000
crop_size = (512, 512)
train_dataloader = dict(batch_size=16, dataset=dict(dataset=_base_.photos))

model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes))
_base_.param_scheduler[1].end = max_iters
_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)
