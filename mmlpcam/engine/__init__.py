"""Runs: importing this package registers runners, loops and hooks."""
from .distributed import init_distributed
from .hooks import ChannelsLastHook, IterSeedHook, PrototypeBankHook
from .prototype_builder import PrototypeBuilder, draw_images, find_cam_head
from .pseudo_label_loop import PseudoLabelLoop, model_digest
from .staged_runner import Stage, StagedRunner, drop_training, last_checkpoint

__all__ = [
    'ChannelsLastHook', 'IterSeedHook', 'PrototypeBankHook',
    'PrototypeBuilder', 'PseudoLabelLoop', 'Stage', 'StagedRunner',
    'draw_images', 'drop_training', 'find_cam_head', 'init_distributed',
    'last_checkpoint', 'model_digest'
]
