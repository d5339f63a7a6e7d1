# The segmentor with the same schedule, on the true masks: the upper bound for
# what image labels can reach.
_base_ = './deeplabv3_voc-animals.py'
runner_type = 'Runner'
stages = dict(_delete_=True)
stage_configs = dict(_delete_=True)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **_base_.photos,
        pipeline=_base_.train_dataloader.dataset.dataset.pipeline))
