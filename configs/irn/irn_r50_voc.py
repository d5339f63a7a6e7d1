# IRNet on PASCAL VOC 2012: labels of the stage `ir_labels` in, masks refined
# from the maps of the stage `maps` out.
_base_ = [
    '../_base_/models/irn_r50.py', '../_base_/datasets/voc12_image_labels.py',
    '../_base_/schedules/irn_3e.py', '../_base_/default_runtime.py'
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    # from half to one and a half of the size
    dict(
        type='RandomChoice',
        transforms=[[
            dict(
                type='Resize',
                scale_factor=percent / 100,
                keep_ratio=True,
                backend='pillow',
                interpolation='bicubic')
        ] for percent in range(50, 151)]),
    dict(type='RandomFlip', prob=0.5),
    # the mean colour (BGR) becomes zero when the model normalises
    dict(
        type='RandomCanvasCrop',
        crop_size=(512, 512),
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(
            _base_.train_dataloader.dataset.dataset, pipeline=train_pipeline)))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ActivationMapDataset',
        map_dir='stage://maps/maps',
        dataset=_base_.test_dataloader.dataset))
label_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ActivationMapDataset',
        map_dir='stage://maps/maps',
        dataset=_base_.label_dataloader.dataset))
