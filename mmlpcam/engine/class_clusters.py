"""Clusters of the features of all classes, several classes at a time."""
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from mmengine.dist import all_reduce

from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.ops import KMeansResult, PointSet, kmeans_many, kmeans_sklearn
from .prototype_sampling import Points

MAX_POINTS_TOGETHER = 100_000
"""int: Most points of all ranks on the device, unless a class has more."""


class SideClusters(NamedTuple):
    """Clusters of one side of a class.

    Attributes:
        results (list[KMeansResult]): Of each clustering.
        num_points (int): Number of points of all ranks.
    """
    results: list[KMeansResult]
    num_points: int


BothSides = tuple[SideClusters, SideClusters]


def cluster_classes(points: dict[tuple[int, str], Points], num_classes: int,
                    clusterings: Sequence[tuple[int, int]], empty: Points,
                    device: torch.device, *, backend: str, soft: bool,
                    init: str, tol: float,
                    max_iters: int) -> Iterator[BothSides]:
    """Cluster the class and the context features of each class.

    Args:
        points (dict[tuple[int, str], Points]): Those of this rank, by class
            and side; it is emptied.
        num_classes (int): Number of foreground classes.
        clusterings (Sequence[tuple[int, int]]): K and seed of each.
        empty (Points): In place of those that are missing.
        device (torch.device): Where the work is done.
        backend (str): 'torch' or 'sklearn'.
        soft (bool): Whether the weights of the points count.
        init (str): See :func:`~mmlpcam.ops.kmeans`.
        tol (float): See :func:`~mmlpcam.ops.kmeans`.
        max_iters (int): See :func:`~mmlpcam.ops.kmeans`.

    Yields:
        tuple[SideClusters, SideClusters]: Class and context side of a class.
    """

    def clustered(sets: list[PointSet]) -> Iterator[list[KMeansResult]]:
        """Results of each set, one clustering after the other."""
        for number, seed in clusterings:
            options = dict(init=init, max_iters=max_iters, seed=seed)
            if backend == 'torch':
                results = kmeans_many(sets, number, tol=tol, **options)
            else:
                results = [
                    kmeans_sklearn(
                        each.points, number, weights=each.weights, **options)
                    for each in sets
                ]
            yield results

    totals = torch.tensor(
        [[len(points.get((label, side), empty).feats) for side in SIDES]
         for label in range(num_classes)],
        device=device)
    all_reduce(totals)
    for labels in _groups(totals.sum(1).tolist()):
        parts = [
            points.pop((label, side), empty) for label in labels
            for side in SIDES
        ]
        found = zip(*clustered([
            PointSet(
                each.feats.to(device), each.keys.to(device),
                each.weights.to(device) if soft else None) for each in parts
        ]))
        del parts
        for both in totals[labels].tolist():
            one, other = (
                SideClusters(list(next(found)), total) for total in both)
            yield one, other


def _groups(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Split indices in their order, by the points that they bring."""
    group: list[int] = []
    total = 0
    for index, size in enumerate(sizes):
        if group and total + size > MAX_POINTS_TOGETHER:
            yield group
            group, total = [], 0
        group.append(index)
        total += size
    yield group
