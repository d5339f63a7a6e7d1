# Image labels of voc-animals in, trained DeepLabV3 out, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_m-v2-d16.py',
    '../_base_/datasets/voc_animals_pseudo_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/chains/lpcam.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed; K, tau and mu: cam_m-v2_voc-animals.py -----------------
# background score of the masks (LPCAM paper, Sec. 4.1)
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.3))))
max_epochs = 5
train_dataloader = dict(batch_size=8)
crop_size = (288, 288)

stage_configs = dict(classifier='{{ fileDirname }}/cam_m-v2_voc-animals.py')
model = dict(decode_head=dict(num_classes=_base_.num_classes))
_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
optim_wrapper = dict(
    optimizer=dict(lr=2e-4, weight_decay=1e-2), paramwise_cfg=_base_.fast_head)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
