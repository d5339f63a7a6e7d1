"""Runs: importing this package registers runners, loops and hooks."""
from .distributed import init_distributed, on_main_process
from .hooks import ChannelsLastHook, IterSeedHook, PrototypeBankHook
from .label_refresher import LabelRefresher
from .lock import run_lock
from .mixed_precision import CPUAmpOptimWrapper, has_amp, init_amp, use_amp
from .prototype_builder import PrototypeBuilder, draw_images
from .pseudo_label_loop import PseudoLabelLoop, model_digest
from .stage import Stage, drop_training, last_checkpoint
from .staged_runner import StagedRunner

__all__ = [
    'CPUAmpOptimWrapper', 'ChannelsLastHook', 'IterSeedHook', 'LabelRefresher',
    'PrototypeBankHook', 'PrototypeBuilder', 'PseudoLabelLoop', 'Stage',
    'StagedRunner', 'draw_images', 'drop_training', 'has_amp', 'init_amp',
    'init_distributed', 'last_checkpoint', 'model_digest', 'on_main_process',
    'run_lock', 'use_amp'
]
