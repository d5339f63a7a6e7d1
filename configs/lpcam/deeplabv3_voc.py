# The main job: image labels of PASCAL VOC 2012 in, trained DeepLabV3 out.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py', '../_base_/datasets/voc12.py',
    '../_base_/datasets/seg_512.py', '../_base_/schedules/iters.py',
    '../_base_/chains/lpcam.py', '../_base_/default_runtime.py'
]

# ---- often changed; K, tau and mu: cam_r50_voc.py --------------------------
# background score of the masks (LPCAM paper, Sec. 4.1)
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.3))))
max_iters = 20000
crop_size = (512, 512)
train_dataloader = dict(batch_size=4, dataset=dict(dataset=_base_.photos))

stage_configs = dict(classifier='{{ fileDirname }}/cam_r50_voc.py')
model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes))
_base_.train_dataloader.dataset.dataset.pipeline[3].crop_size = crop_size
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)
