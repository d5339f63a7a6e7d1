"""Data that passes between components."""
from .activation_maps import ActivationMaps, load_maps

__all__ = ['ActivationMaps', 'load_maps']
