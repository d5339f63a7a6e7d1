# The generated dataset with image labels and the masks that are made of them
# while training; validation on true masks.
_base_ = './parts_pseudo_labels.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPseudoLabel'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
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
            dataset=dict(_base_.train_images, pipeline=train_pipeline))))
# of all training images: for prototypes, and to be labelled
prototype_dataset = dict(
    type='ImageLabelDataset',
    labels=_base_.image_labels,
    dataset=dict(
        _base_.train_images, test_mode=True, pipeline=_base_.test_pipeline))
