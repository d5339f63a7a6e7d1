# What the classifier of IRN and LPCAM trains on. The leaf config sets
# `crop_size` of step 3.
_base_ = './image_labels.py'

train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    dataset=dict(
        dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            # long side from 320 to 640 pixels
            dict(
                type='RandomChoiceResize',
                scales=[(side, side) for side in range(320, 641)],
                keep_ratio=True,
                backend='pillow',
                interpolation='bicubic'),
            dict(type='RandomFlip', prob=0.5),
            # filled with the mean colour, zero when the model normalises
            dict(type='RandomCanvasCrop'),
            dict(type='PackSegInputs')
        ])))
test_dataloader = dict(num_workers=4)
# photos of one size together; files are written while the GPU goes on
label_dataloader = dict(
    batch_size=8,
    batch_sampler=dict(type='SameSizeBatchSampler'),
    num_workers=4)
label_evaluator = dict(num_writers=4)
