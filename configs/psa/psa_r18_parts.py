# AffinityNet on the generated data set: labels of `psa_labels` and maps in,
# masks out.
_base_ = '../irn/irn_r18_parts.py'

model = dict(
    type='AffinityNet',
    decode_head=dict(
        _delete_=True,
        type='AffinityHead',
        in_channels=(32, 48, 96),
        num_classes=_base_.num_classes,
        channels=(16, 32, 64),
        stride=4),
    test_cfg=dict(_delete_=True, num_steps=32))
train_dataloader = dict(dataset=dict(label_dir='stage://psa_labels/masks'))
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=_base_.fast_head)
