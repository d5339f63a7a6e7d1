"""Metrics: importing this package registers them with MMSegmentation."""
from .cam_iou_metric import (AreaCounts, CAMIoUMetric, count_areas,
                             mean_scores, sum_areas, threshold_grid,
                             threshold_scores)
from .image_label_metric import ImageLabelMetric, image_label_table
from .pseudo_label_writer import PseudoLabelWriter, is_labeled, read_manifest
from .threshold_sweep import (LabelQuality, ThresholdSweep, find_maps,
                              load_scored_maps, sweep_thresholds)

__all__ = [
    'AreaCounts', 'CAMIoUMetric', 'ImageLabelMetric', 'LabelQuality',
    'PseudoLabelWriter', 'ThresholdSweep', 'count_areas', 'find_maps',
    'image_label_table', 'is_labeled', 'load_scored_maps', 'mean_scores',
    'read_manifest', 'sum_areas', 'sweep_thresholds', 'threshold_grid',
    'threshold_scores'
]
