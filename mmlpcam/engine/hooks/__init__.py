"""Hooks: importing this package registers them with MMSegmentation."""
from .channels_last_hook import ChannelsLastHook
from .checkpoint_hook import CheckpointHook
from .iter_seed_hook import IterSeedHook
from .new_sizes_hook import NewSizesHook
from .prototype_bank_hook import PrototypeBankHook, find_bank_hook

__all__ = [
    'ChannelsLastHook', 'CheckpointHook', 'IterSeedHook', 'NewSizesHook',
    'PrototypeBankHook', 'find_bank_hook'
]
