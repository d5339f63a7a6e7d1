"""Pictures, plots and pages; importing this package registers a hook."""
from .curves import Curve, draw_curves
from .html_report import HTMLReport, ReportPatch, ReportPhoto, ReportPrototype
from .panels import draw_legend, draw_map, draw_mask, draw_panel
from .stage_pictures_hook import StagePicturesHook

__all__ = [
    'Curve', 'HTMLReport', 'ReportPatch', 'ReportPhoto', 'ReportPrototype',
    'StagePicturesHook', 'draw_curves', 'draw_legend', 'draw_map', 'draw_mask',
    'draw_panel'
]
