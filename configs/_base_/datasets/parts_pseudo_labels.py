# The generated data set with the masks of the stage `labels`; validated on
# true masks.
_base_ = ['./parts.py', './pseudo_labels.py']

train_pipeline = [
    _base_.load,
    dict(type='LoadAnnotations'), _base_.flip, _base_.pack
]
train_dataloader = dict(
    dataset=dict(dataset=dict(_base_.photos, pipeline=train_pipeline)))
val_dataloader = dict(
    dataset=dict(_base_.val_photos, pipeline=_base_.score_pipeline))
test_dataloader = val_dataloader
