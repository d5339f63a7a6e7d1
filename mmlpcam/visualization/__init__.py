"""Pictures."""
from .curves import Curve, draw_curves
from .panels import draw_legend, draw_map, draw_mask, draw_panel

__all__ = [
    'Curve', 'draw_curves', 'draw_legend', 'draw_map', 'draw_mask',
    'draw_panel'
]
