# AffinityNet on coco-mini: labels of `psa_labels` and maps in, masks out.
_base_ = '../irn/irn_m-v2_coco-mini.py'

model = dict(
    type='AffinityNet',
    backbone=dict(
        out_indices=(2, 4, 6), norm_cfg=dict(_delete_=True, type='BN')),
    decode_head=dict(
        _delete_=True,
        type='AffinityHead',
        in_channels=(32, 96, 320),
        num_classes=_base_.num_classes),
    test_cfg=dict(_delete_=True))
train_dataloader = dict(dataset=dict(label_dir='stage://psa_labels/masks'))
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=_base_.fast_head)
