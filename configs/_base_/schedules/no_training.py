# For models without weights, which only write or score masks.
default_hooks = dict(visualization=dict(type='StagePicturesHook'))
