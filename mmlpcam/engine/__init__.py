"""Runs: importing this package registers runners, loops and hooks."""
from .dataset_checks import check_datasets
from .distributed import init_distributed
from .hooks import ChannelsLastHook, IterSeedHook, PrototypeBankHook
from .label_refresher import LabelRefresher
from .mixed_precision import CPUAmpOptimWrapper, has_amp, init_amp, use_amp
from .prototype_builder import PrototypeBuilder, draw_images
from .pseudo_label_loop import PseudoLabelLoop, model_digest
from .staged_runner import Stage, StagedRunner, drop_training, last_checkpoint

__all__ = [
    'CPUAmpOptimWrapper', 'ChannelsLastHook', 'IterSeedHook', 'LabelRefresher',
    'PrototypeBankHook', 'PrototypeBuilder', 'PseudoLabelLoop', 'Stage',
    'StagedRunner', 'check_datasets', 'draw_images', 'drop_training',
    'has_amp', 'init_amp', 'init_distributed', 'last_checkpoint',
    'model_digest', 'use_amp'
]
