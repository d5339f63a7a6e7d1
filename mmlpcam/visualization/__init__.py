"""Pictures."""
from .curves import Curve, draw_curves
from .html_report import HTMLReport, ReportPhoto
from .panels import draw_legend, draw_map, draw_mask, draw_panel

__all__ = [
    'Curve', 'HTMLReport', 'ReportPhoto', 'draw_curves', 'draw_legend',
    'draw_map', 'draw_mask', 'draw_panel'
]
