# The generated dataset with image labels, for the classifier.
_base_ = './parts.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PackSegInputs')
]
# No loader processes: two cores are busy with the model, and a resumed run
# then repeats an unbroken one exactly (IterSeedHook).
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(_base_.train_images, pipeline=train_pipeline)))
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=_base_.image_labels,
    dataset=dict(
        _base_.train_images, test_mode=True, pipeline=_base_.test_pipeline))
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(
            _base_.train_images,
            test_mode=True,
            pipeline=_base_.score_pipeline)))
test_evaluator = dict(type='CAMIoUMetric', split='the training images')
test_cfg = dict(type='TestLoop')
# what the stages that write masks for the segmentor run on
label_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=prototype_dataset)
