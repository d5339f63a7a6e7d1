# Adam at a constant rate, twenty times higher in the head.
_base_ = './epochs.py'

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-6, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=20))))
param_scheduler = None
default_hooks = dict(logger=dict(interval=50))
