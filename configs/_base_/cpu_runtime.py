_base_ = './default_runtime.py'

custom_hooks = [dict(type='ChannelsLastHook'), dict(type='IterSeedHook')]
