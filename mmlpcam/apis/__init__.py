"""Trained models, ready to be used on photos."""
from .inferencer import LPCAMInferencer, Prediction
from .photo_inputs import PhotoInput, find_photos
from .shard_labels import ShardCounts, ShardLabeler
from .trained_files import find_checkpoint, photo_pipeline

__all__ = [
    'LPCAMInferencer', 'PhotoInput', 'Prediction', 'ShardCounts',
    'ShardLabeler', 'find_checkpoint', 'find_photos', 'photo_pipeline'
]
