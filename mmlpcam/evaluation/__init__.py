"""Metrics: importing this package registers them with MMSegmentation."""
from .cam_iou_metric import (AreaCounts, CAMIoUMetric, count_areas,
                             threshold_scores)
from .pseudo_label_writer import PseudoLabelWriter

__all__ = [
    'AreaCounts', 'CAMIoUMetric', 'PseudoLabelWriter', 'count_areas',
    'threshold_scores'
]
