# The second stage of ReCAM on the generated dataset, and its prototypes.
_base_ = '../lpcam/cam_r18_parts.py'

max_epochs = 4
model = dict(
    decode_head=dict(type='ReCAMHead'),
    test_cfg=dict(extra_map_types=('recam', 'lpcam_f')))
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(
        _delete_=True, custom_keys={'decode_head.recam': dict(lr_mult=10)}))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
