# What IRNet trains on where photos have about 448 pixels: labels of the stage
# `ir_labels`. The leaf config adds the photos and sets `crop_size` of step 3.
_base_ = './image_labels.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 577, 32)],
        keep_ratio=True),
    dict(type='RandomCanvasCrop', img_pad_val=127.5),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        type='PseudoLabelDataset', label_dir='stage://ir_labels/masks'))
