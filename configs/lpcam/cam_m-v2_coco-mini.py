# Classifier and prototypes on coco-mini, for a CPU.
_base_ = [
    '../_base_/models/cam_m-v2-d16.py', '../_base_/datasets/coco_mini.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/epochs.py',
    '../_base_/cpu_runtime.py'
]

# ---- often changed ---------------------------------------------------------
crop_size = (288, 288)
train_dataloader = dict(batch_size=16, dataset=_base_.train_dataset)
train_cfg = dict(max_epochs=20)
model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes,
        num_clusters=50,  # K, for class and context prototypes each
        scales=(1.0, 0.5, 1.5)))
prototypes = dict(
    fg_thr=0.25,  # tau, splits features by their CAM
    # a classifier of few photos is less confident: softer selection
    mu_f=0.5,  # class prototypes score above it
    mu_b=0.5,  # context prototypes score below it ...
    mu_b_low=0.,  # ... and above it
    # with K = 12 and random starts, seeds differ by two points of mIoU
    init='k-means++')

_base_.train_dataset.dataset.pipeline = [
    _base_.load,
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 513, 16)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomCanvasCrop', crop_size=crop_size, img_pad_val=127.5),
    _base_.pack
]
test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
optim_wrapper = dict(
    optimizer=dict(lr=3e-4, weight_decay=1e-2), paramwise_cfg=_base_.fast_head)
custom_hooks = [*_base_.custom_hooks, dict(_base_.prototypes, **prototypes)]
