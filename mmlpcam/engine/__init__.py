"""Runs: importing this package registers runners, loops and hooks."""
from .bank_report import ClusterTable, read_clusters
from .bank_variants import BankVariant, variant_maps
from .checkpoints import (check_device, check_weights, init_trained_model,
                          last_checkpoint, load_weights)
from .confidence_sampler import ConfidenceSampler
from .console import QuietRunner, quiet_console
from .dataset_checks import build_scored_dataset, check_datasets
from .distributed import init_distributed
from .feature_cache import CachedPhoto, FeatureCache, cache_features
from .hooks import (ChannelsLastHook, CheckpointHook, IterSeedHook,
                    NewSizesHook, PrototypeBankHook, find_bank_hook)
from .image_label_loop import ImageLabelLoop
from .label_refresher import LabelRefresher
from .lock import run_lock
from .mixed_precision import CPUAmpOptimWrapper, has_amp, init_amp, use_amp
from .preflight import Run, preflight
from .prototype_builder import PrototypeBuilder, draw_images
from .pseudo_label_loop import PseudoLabelLoop, model_digest
from .stage import Stage
from .stage_inputs import drop_training
from .staged_runner import StagedRunner

__all__ = [
    'BankVariant', 'CPUAmpOptimWrapper', 'CachedPhoto', 'ChannelsLastHook',
    'CheckpointHook', 'ClusterTable', 'ConfidenceSampler', 'FeatureCache',
    'ImageLabelLoop', 'IterSeedHook', 'LabelRefresher', 'NewSizesHook',
    'PrototypeBankHook', 'PrototypeBuilder', 'PseudoLabelLoop', 'QuietRunner',
    'Run', 'Stage', 'StagedRunner', 'build_scored_dataset', 'cache_features',
    'check_datasets', 'check_device', 'check_weights', 'draw_images',
    'drop_training', 'find_bank_hook', 'has_amp', 'init_amp',
    'init_distributed', 'init_trained_model', 'last_checkpoint',
    'load_weights', 'model_digest', 'preflight', 'quiet_console',
    'read_clusters', 'run_lock', 'use_amp', 'variant_maps'
]
