"""Pictures."""
from .panels import draw_map, draw_mask, draw_panel

__all__ = ['draw_map', 'draw_mask', 'draw_panel']
