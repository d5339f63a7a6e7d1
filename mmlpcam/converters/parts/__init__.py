"""The generated *parts* data set."""
from .drawing import SPLITS, PartsObject, PartsSample, draw_parts_sample
from .generator import SETTINGS_FILE, PartsSettings, make_parts_dataset

__all__ = [
    'PartsObject', 'PartsSample', 'PartsSettings', 'SETTINGS_FILE', 'SPLITS',
    'draw_parts_sample', 'make_parts_dataset'
]
