"""Pure functions on tensors: no registry, no files, any device."""
from .activation import (activation_maps, flip_average, full_size_maps,
                         max_normalize, strided_maps)
from .kmeans import KMeansResult, kmeans, kmeans_sklearn
from .prototypes import (prototype_direction, prototype_scores,
                         select_class_prototypes, select_context_prototypes,
                         split_features)

__all__ = [
    'KMeansResult', 'activation_maps', 'flip_average', 'full_size_maps',
    'kmeans', 'kmeans_sklearn', 'max_normalize', 'prototype_direction',
    'prototype_scores', 'select_class_prototypes', 'select_context_prototypes',
    'split_features', 'strided_maps'
]
