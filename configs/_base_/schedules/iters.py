# The schedule of MMSegmentation. The leaf config sets train_cfg.max_iters,
# where the rate ends as well, and train_cfg.val_interval.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop')
log_processor = dict(by_epoch=False)
default_hooks = dict(
    new_sizes=dict(type='NewSizesHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=2000,
        max_keep_ckpts=2),
    visualization=dict(type='StagePicturesHook'))
