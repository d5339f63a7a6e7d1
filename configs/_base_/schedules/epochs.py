# Epochs, with exact resume. The leaf config sets train_cfg.max_epochs, where
# the rate ends as well, and the rate.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', weight_decay=1e-4))
param_scheduler = [dict(type='PolyLR', power=0.9, convert_to_iter_based=True)]
# a head that learns ten times as fast as the backbone
fast_head = dict(custom_keys=dict(decode_head=dict(lr_mult=10)))
# for networks from scratch: param_scheduler = [warmup, *param_scheduler]
warmup = dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=20)
train_cfg = dict(type='EpochBasedTrainLoop')
default_hooks = dict(
    new_sizes=dict(type='NewSizesHook'),
    logger=dict(type='LoggerHook', interval=20),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    visualization=dict(type='StagePicturesHook'))
