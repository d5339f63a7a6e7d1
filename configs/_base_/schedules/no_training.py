# For models without weights, which only write or score masks.
# DistributedDataParallel refuses a model without parameters.
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
default_hooks = dict(visualization=dict(type='StagePicturesHook'))
