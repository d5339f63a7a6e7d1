"""Data that passes between components."""
from .activation_maps import ActivationMaps

__all__ = ['ActivationMaps']
