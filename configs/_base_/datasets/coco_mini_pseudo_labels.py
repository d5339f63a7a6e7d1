# coco-mini with the masks of the stage `labels`; validation on true masks.
_base_ = './coco_mini.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize',
        scale=(448, 448),
        ratio_range=(0.6, 1.4),
        keep_ratio=True),
    dict(
        type='RandomCanvasCrop',
        crop_size=(288, 288),
        img_pad_val=(127.5, 127.5, 127.5)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://labels/masks',
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root=_base_.data_root,
        metainfo=_base_.metainfo,
        data_prefix=dict(img_path='val2017', seg_map_path='masks/val2017'),
        test_mode=True,
        pipeline=_base_.score_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
