"""Data that passes between components."""
from .activation_maps import ActivationMaps, load_maps
from .map_types import (MapType, find_map_type, is_refined, map_title,
                        register_map_type, sort_map_types)

__all__ = [
    'ActivationMaps', 'MapType', 'find_map_type', 'is_refined', 'load_maps',
    'map_title', 'register_map_type', 'sort_map_types'
]
