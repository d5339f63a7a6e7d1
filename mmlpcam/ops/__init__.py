"""Pure functions on tensors and arrays: no registry, no files, any device."""
from .activation import (NORMALIZATIONS, activation_maps, covered_size,
                         flip_average, full_size_maps, normalize_maps,
                         strided_maps)
from .affinity import (PairKinds, affinity_loss, masked_mean, pair_affinity,
                       pair_kinds, pair_offsets, path_cells,
                       source_and_neighbors)
from .confident_labels import affinity_labels, confident_labels
from .dense_crf import DenseCRF, infer_many, label_unary, softmax_unary
from .feature_affinity import (affinity_walk, affinity_walk_many,
                               feature_affinity)
from .kmeans import KMeansResult, PointSet, kmeans, kmeans_many, kmeans_sklearn
from .label_conditioned import balanced_smooth_loss, gated_maps
from .patch_affinity import refine_with_affinity
from .pixel_adaptive import pixel_adaptive_refine
from .prototypes import (image_directions, nearest_similarity,
                         prototype_direction, prototype_scores, sample_map,
                         select_class_prototypes, select_context_prototypes,
                         split_features)
from .random_walk import (random_walk, random_walk_many, transition_matrix,
                          transition_of_pairs)
from .score_thresholds import (AutoThreshold, background_score, li_threshold,
                               otsu_thresholds)
from .self_similarity import spread_by_similarity
from .whitening import feature_moments, fit_whitening, unwhiten, whiten

__all__ = [
    'AutoThreshold', 'DenseCRF', 'KMeansResult', 'NORMALIZATIONS', 'PairKinds',
    'PointSet', 'activation_maps', 'affinity_labels', 'affinity_loss',
    'affinity_walk', 'affinity_walk_many', 'background_score',
    'balanced_smooth_loss', 'confident_labels', 'covered_size',
    'feature_affinity', 'feature_moments', 'fit_whitening', 'flip_average',
    'full_size_maps', 'gated_maps', 'image_directions', 'infer_many', 'kmeans',
    'kmeans_many', 'kmeans_sklearn', 'label_unary', 'li_threshold',
    'masked_mean', 'nearest_similarity', 'normalize_maps', 'otsu_thresholds',
    'pair_affinity', 'pair_kinds', 'pair_offsets', 'path_cells',
    'pixel_adaptive_refine', 'prototype_direction', 'prototype_scores',
    'random_walk', 'random_walk_many', 'refine_with_affinity', 'sample_map',
    'select_class_prototypes', 'select_context_prototypes', 'softmax_unary',
    'source_and_neighbors', 'split_features', 'spread_by_similarity',
    'strided_maps', 'transition_matrix', 'transition_of_pairs', 'unwhiten',
    'whiten'
]
