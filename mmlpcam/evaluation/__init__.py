"""Metrics, labels on disk and thresholds.

Importing this package registers the metrics with MMSegmentation.
"""
from .area_counts import (AreaCounts, count_areas, mean_scores, sum_areas,
                          threshold_grid, threshold_scores)
from .cam_iou_metric import CAMIoUMetric
from .image_label_metric import ImageLabelMetric, image_label_table
from .mask_quality import class_agreement, class_confidence, mask_confidence
from .pseudo_label_writer import (PseudoLabelWriter, check_same_settings,
                                  is_labeled, read_bg_thr, read_manifest)
from .threshold_sweep import (LabelQuality, ThresholdSweep, find_maps,
                              load_scored_maps, sweep_thresholds)

__all__ = [
    'AreaCounts', 'CAMIoUMetric', 'ImageLabelMetric', 'LabelQuality',
    'PseudoLabelWriter', 'ThresholdSweep', 'check_same_settings',
    'class_agreement', 'class_confidence', 'count_areas', 'find_maps',
    'image_label_table', 'is_labeled', 'load_scored_maps', 'mask_confidence',
    'mean_scores', 'read_bg_thr', 'read_manifest', 'sum_areas',
    'sweep_thresholds', 'threshold_grid', 'threshold_scores'
]
