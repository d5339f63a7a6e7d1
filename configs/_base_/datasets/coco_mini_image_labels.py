# coco-mini with image labels, for the classifier.
_base_ = './coco_mini.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 513, 16)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(
        type='RandomCanvasCrop',
        crop_size=(288, 288),
        img_pad_val=(127.5, 127.5, 127.5)),
    dict(type='PackSegInputs')
]

# No loader processes: two cores are busy with the model, and a resumed run
# then repeats an unbroken one exactly (IterSeedHook).
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(_base_.photos, pipeline=train_pipeline)))
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=_base_.image_labels,
    dataset=dict(_base_.photos, test_mode=True, pipeline=_base_.test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(
            _base_.photos, test_mode=True, pipeline=_base_.score_pipeline)))
test_evaluator = dict(type='CAMIoUMetric', split='the training photos')
test_cfg = dict(type='TestLoop')
# what the stages that write masks for the segmentor run on
label_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=prototype_dataset)
