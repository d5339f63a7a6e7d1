# Image labels of MS COCO in, trained DeepLabV3 out.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py',
    '../_base_/datasets/coco_pseudo_labels.py',
    '../_base_/schedules/schedule_20k.py', '../_base_/chains/lpcam.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

max_iters = 80000
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=81),
    auxiliary_head=dict(num_classes=81))
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=1e-4,
        power=0.9,
        begin=0,
        end=max_iters,
        by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
stage_configs = dict(classifier='{{ fileDirname }}/cam_r50_coco.py')
