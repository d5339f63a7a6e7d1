# Image labels of the generated data set in, DeepLabV3 out: `make demo`.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_pseudo_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/chains/lpcam.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed; K, tau and mu: cam_r18_parts.py ------------------------
# background score of the masks
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.4))))
max_epochs = 30
train_dataloader = dict(batch_size=8)

stage_configs = dict(classifier='{{ fileDirname }}/cam_r18_parts.py')
model = dict(decode_head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [_base_.warmup, *_base_.param_scheduler]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
