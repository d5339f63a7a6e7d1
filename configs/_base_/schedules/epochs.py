# Epoch-based schedule for the small chains: constant memory, exact resume.
# The leaf config sets max_epochs, the optimiser and the scheduler.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20)
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
