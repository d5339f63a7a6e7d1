# coco-mini with image labels and the masks that are made of them while
# training.
_base_ = './coco_mini_pseudo_labels.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPseudoLabel'),
    dict(
        type='RandomResize',
        scale=(448, 448),
        ratio_range=(0.6, 1.2),
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
    dataset=dict(
        _delete_=True,
        type='ImageLabelDataset',
        labels=_base_.image_labels,
        dataset=dict(
            type='PseudoLabelDataset',
            label_dir=None,  # PrototypeBankHook makes them
            dataset=dict(_base_.photos, pipeline=train_pipeline))))
# of all training photos: for prototypes, and to be labelled
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=_base_.image_labels,
    dataset=dict(_base_.photos, test_mode=True, pipeline=_base_.test_pipeline))
