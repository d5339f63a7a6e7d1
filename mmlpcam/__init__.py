"""Semantic segmentation from image-level labels for MMSegmentation.

Importing the package checks the versions of MMEngine, MMCV and
MMSegmentation, and registers all components, so that
``custom_imports = dict(imports=['mmlpcam'])`` is all a config needs.
"""
from .quiet_imports import quiet_imports
from .requirements import check_requirements
from .version import __version__

with quiet_imports():
    check_requirements()
    from . import datasets, engine, evaluation, models, visualization
from .utils import config_path, read_classes  # noqa: E402

__all__ = [
    '__version__', 'config_path', 'datasets', 'engine', 'evaluation', 'models',
    'read_classes', 'visualization'
]
