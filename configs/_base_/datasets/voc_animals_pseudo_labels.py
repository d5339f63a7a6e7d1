# voc-animals with the masks of the stage `labels`; validated on true masks.
_base_ = ['./voc_animals.py', './photos_448.py']

train_dataloader = dict(dataset=dict(dataset=_base_.photos))
val_dataloader = dict(
    dataset=dict(_base_.val_photos, pipeline=_base_.score_pipeline))
test_dataloader = val_dataloader
