# AffinityNet on the generated dataset: labels of the stage `psa_labels` in,
# masks refined from the maps of the stage `maps` out.
_base_ = '../irn/irn_r18_parts.py'

model = dict(
    type='AffinityNet',
    backbone=dict(norm_eval=True),
    decode_head=dict(
        _delete_=True,
        type='AffinityHead',
        in_channels=(32, 48, 96),
        num_classes=6,
        channels=(16, 32, 64),
        stride=4),
    test_cfg=dict(_delete_=True, num_steps=32))
train_dataloader = dict(dataset=dict(label_dir='stage://psa_labels/masks'))
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
