"""Cosine k-means with raw-mean centres, data-parallel over all ranks."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine import dist
from torch import Tensor

from mmlpcam.utils.parallel import LineNowAndThen
from .kmeans_points import NORM_EPS, LocalPoints
from .kmeans_starts import Ranking, lowest, plus_plus, random_centers

_INITS = ('random', 'k-means++')


class KMeansResult(NamedTuple):
    """Outcome of :func:`kmeans`.

    Attributes:
        centers (Tensor): (K, D) float32, the mean of the raw members of each
            cluster. K is smaller than asked for where there are fewer
            distinct directions than clusters. Equal on all ranks.
        labels (Tensor): (N, ) int64, cluster of each point of this rank; -1
            for a zero vector, which has no direction.
        counts (Tensor): (K, ) int64, members over all ranks, all > 0.
        num_iters (int): Rounds of assignment and update that ran.
        converged (bool): Whether the stop rule ended it, not the cap.
    """
    centers: Tensor
    labels: Tensor
    counts: Tensor
    num_iters: int
    converged: bool


class PointSet(NamedTuple):
    """Vectors to cluster, as :func:`kmeans` takes them.

    Attributes:
        points (Tensor): (N, D), any floating type.
        keys (Tensor, optional): (N, ) int64.
        weights (Tensor, optional): (N, ), > 0.
    """
    points: Tensor
    keys: Tensor | None = None
    weights: Tensor | None = None


def kmeans(points: Tensor,
           num_clusters: int,
           *,
           init: str | Tensor = 'random',
           tol: float = 5.,
           max_iters: int = 300,
           seed: int = 0,
           keys: Tensor | None = None,
           weights: Tensor | None = None,
           chunk_size: int | None = None) -> KMeansResult:
    """Cluster vectors by direction, keeping centres at their raw scale.

    Points are assigned by cosine distance, centres are the plain mean of
    their un-normalised members (LPCAM classifies centres, so their length
    counts), weighted by ``weights``. It stops once ``(sum_k |move of centre
    k|)^2 < tol``, as in the official code. An empty cluster is re-seeded with
    the point that is farthest from its centre.

    A round reads the points that may change their cluster, as bounds on the
    moves of the centres tell (all in the first round, few in late ones), and
    once more those that do. Points in half precision stay so: memory beyond
    the points is ``chunk_size x (D + 2 K)`` float32, and five numbers a point.
    On a CPU with AMX, which multiplies bfloat16 many times faster, there is a
    copy of the points in that, ``N x D x 2`` bytes; a round then reads points
    only where the copy cannot tell. Labels are the same either way.

    Under a launcher, each rank holds its own points, which may be none; sums
    and counts are reduced over all ranks. Random choices depend on ``keys``
    and ``seed`` only, so that the result is that of one process holding all
    points, up to rounding.

    Args:
        points (Tensor): Vectors of this rank, (N, D), any floating type.
            Zero vectors are left out.
        num_clusters (int): Number of clusters K, the same on all ranks.
        init (str | Tensor): 'random' takes K distinct points, 'k-means++'
            spreads them by squared cosine distance
            (https://dl.acm.org/doi/10.5555/1283383.1283494), a tensor (K, D)
            gives the starting centres. Defaults to 'random'.
        tol (float): Bound of the stop rule, in squared feature units.
            Defaults to 5, the official value.
        max_iters (int): Cap on the rounds. Defaults to 300.
        seed (int): Seed of the random choices. Defaults to 0.
        keys (Tensor, optional): Identity of each point, (N, ) int64, unique
            over all ranks. Defaults to None: the row number, which is only
            unique in a single process.
        weights (Tensor, optional): How much each point counts in the centre
            of its cluster, (N, ), > 0. Starting centres do not depend on it.
            Defaults to None: all the same.
        chunk_size (int, optional): Points handled at once. Defaults to None:
            1024 on the CPU, 65536 elsewhere.

    Returns:
        KMeansResult: Centres, labels and counts.

    Raises:
        ValueError: If an argument is out of range, or `keys` are missing
            under a launcher.
    """
    return kmeans_many([PointSet(points, keys, weights)],
                       num_clusters,
                       init=[init] if isinstance(init, Tensor) else init,
                       tol=tol,
                       max_iters=max_iters,
                       seed=seed,
                       chunk_size=chunk_size)[0]


def kmeans_many(sets: Sequence[PointSet],
                num_clusters: int,
                *,
                init: str | Sequence[Tensor] = 'random',
                tol: float = 5.,
                max_iters: int = 300,
                seed: int = 0,
                chunk_size: int | None = None) -> list[KMeansResult]:
    """Cluster several sets of vectors, each by itself.

    The result of each set is that of :func:`kmeans`, to the bit. The sets go
    through their rounds together, each until it has converged, and the ranks
    exchange the sums of all sets at once.

    Args:
        sets (Sequence[PointSet]): Vectors of this rank, of one D and on one
            device; all ranks have as many sets, which may be empty.
        num_clusters (int): Number of clusters K of each set.
        init (str | Sequence[Tensor]): As in :func:`kmeans`, or starting
            centres (K, D) for each set. Defaults to 'random'.
        tol (float): See :func:`kmeans`. Defaults to 5.
        max_iters (int): See :func:`kmeans`. Defaults to 300.
        seed (int): See :func:`kmeans`. Defaults to 0.
        chunk_size (int, optional): See :func:`kmeans`. Defaults to None.

    Returns:
        list[KMeansResult]: That of each set.

    Raises:
        ValueError: See :func:`kmeans`.
    """
    for n, each in enumerate(sets):
        _check_args(each.points, num_clusters,
                    init if isinstance(init, str) else init[n], max_iters,
                    each.keys, each.weights)
    if not sets:
        return []
    local = [
        LocalPoints(each.points, num_clusters, each.keys, each.weights,
                    chunk_size) for each in sets
    ]
    totals = _reduce(torch.stack([each.valid.sum() for each in local]))
    numbers = totals.clamp_max(num_clusters).tolist()
    if isinstance(init, str):
        start = random_centers if init == 'random' else plus_plus
        starts = start(local, numbers, seed)
    else:
        starts = [
            each[:number].to(totals.device, torch.float32)
            for each, number in zip(init, numbers)
        ]
    # room for K in all, so that the sets are updated together
    centers = torch.stack(
        [F.pad(each, (0, 0, 0, num_clusters - len(each))) for each in starts])

    num_iters = [0] * len(sets)
    converged = [number == 0 for number in numbers]
    log = LineNowAndThen()
    for rounds in range(1, max_iters + 1):
        going = [n for n, stopped in enumerate(converged) if not stopped]
        if not going:
            break
        for n in going:
            local[n].assign(centers[n, :numbers[n]])
        updated, stopped = _update([local[n] for n in going],
                                   [numbers[n] for n in going], centers[going],
                                   tol)
        centers[going] = updated
        for n, stop in zip(going, stopped):
            num_iters[n], converged[n] = rounds, stop
        log(f'k-means: round {rounds}, {len(going)} of {len(sets)} sets go on')

    for points in local:
        points.sum_up()
    sums = _reduce(torch.stack([each.sums for each in local]))
    return [_result(*each) for each in zip(local, sums, num_iters, converged)]


def _update(local: Sequence[LocalPoints], numbers: Sequence[int],
            centers: Tensor, tol: float) -> tuple[Tensor, list[bool]]:
    """New centres (sets, K, D), and whether the stop rule ends each set."""
    sums = _reduce(torch.stack([each.sums for each in local]))
    updated, counts = _means(sums)
    wanted = torch.arange(counts.shape[1], device=counts.device)
    empty = (counts == 0) & (wanted < counts.new_tensor(numbers)[:, None])
    if empty.any():
        for each, none in zip(local, empty):
            each.sums[none] = 0  # or what rounding left would stay
        rankings = [
            Ranking(each, each.cosines_to_centers(), number)
            for each, number in zip(local,
                                    empty.sum(1).tolist()) if number
        ]
        updated[empty] = torch.cat([rows for rows, _ in lowest(rankings)])
    moves = (updated - centers).norm(dim=2)
    # A centre that has just been re-seeded gets a round to win members.
    stopped = (moves.sum(1)**2 < tol) & ~(empty & (moves > 0)).any(1)
    return updated, stopped.tolist()


def _means(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Means (..., K, D) float32 and numbers (..., K) int64 of members."""
    masses, counts = sums[..., -2], sums[..., -1]
    means = sums[..., :-2] / torch.where(counts > 0, masses, 1)[..., None]
    return means.float(), counts.long()


def _result(local: LocalPoints, sums: Tensor, num_iters: int,
            converged: bool) -> KMeansResult:
    centers, counts = _means(sums)
    # Clusters still empty at the end are re-seeded centres that never won a
    # member: they describe nothing.
    kept = counts > 0
    labels = local.labels
    labels = torch.where(labels >= 0,
                         (torch.cumsum(kept, 0) - 1)[labels.clamp_min(0)],
                         labels)
    return KMeansResult(centers[kept], labels, counts[kept], num_iters,
                        converged)


def _reduce(value: Tensor) -> Tensor:
    dist.all_reduce(value)
    return value


def kmeans_sklearn(points: Tensor,
                   num_clusters: int,
                   *,
                   init: str | Tensor = 'k-means++',
                   max_iters: int = 300,
                   seed: int = 0,
                   weights: Tensor | None = None) -> KMeansResult:
    """Cluster with scikit-learn on unit vectors, then take raw means.

    The alternative to :func:`kmeans`, on one process and on the CPU. Its
    stop rule is scikit-learn's.

    Args:
        points (Tensor): Vectors of shape (N, D).
        num_clusters (int): Number of clusters K.
        init (str | Tensor): 'random', 'k-means++' or centres (K, D).
            Defaults to 'k-means++'.
        max_iters (int): Cap on the rounds. Defaults to 300.
        seed (int): Seed of the random choices. Defaults to 0.
        weights (Tensor, optional): As in :func:`kmeans`; starting centres
            of 'k-means++' depend on it here. Defaults to None.

    Returns:
        KMeansResult: As :func:`kmeans`.

    Raises:
        ValueError: If an argument is out of range, or under a launcher.
    """
    from sklearn.cluster import KMeans

    _check_args(points, num_clusters, init, max_iters, None, weights)
    labels = torch.full((len(points), ), -1)
    unit = F.normalize(points.float().cpu(), dim=1)
    valid = points.float().cpu().norm(dim=1) > NORM_EPS
    num_clusters = min(num_clusters, int(valid.sum()))
    if num_clusters == 0:
        return KMeansResult(
            points.new_zeros(0, points.shape[1], dtype=torch.float32),
            labels.to(points.device),
            labels.new_zeros(0).to(points.device), 0, True)
    start: str | np.ndarray
    if isinstance(init, Tensor):
        start = F.normalize(init[:num_clusters].float().cpu(), dim=1).numpy()
    else:
        start = init
    estimator = KMeans(
        num_clusters,
        init=start,
        n_init=1,
        max_iter=max_iters,
        random_state=seed).fit(
            unit[valid].numpy(),
            sample_weight=None
            if weights is None else weights.cpu()[valid].numpy())
    labels[valid] = torch.from_numpy(estimator.labels_).long()
    local = LocalPoints(points, num_clusters, weights=weights)
    local.labels = labels.to(points.device)
    local.sum_up()
    return _result(local, local.sums, estimator.n_iter_, estimator.n_iter_
                   < max_iters)


def _check_args(points: Tensor, num_clusters: int, init: str | Tensor,
                max_iters: int, keys: Tensor | None,
                weights: Tensor | None) -> None:
    if points.ndim != 2 or not points.is_floating_point():
        raise ValueError('expected `points` of shape (N, D) and a floating '
                         f'type, but got {tuple(points.shape)} {points.dtype}')
    if num_clusters < 1 or max_iters < 1:
        raise ValueError('`num_clusters` and `max_iters` must be at least 1, '
                         f'but got {num_clusters} and {max_iters}')
    if isinstance(init, Tensor):
        if init.shape != (num_clusters, points.shape[1]):
            raise ValueError(
                f'expected starting centres ({num_clusters}, '
                f'{points.shape[1]}), but got {tuple(init.shape)}')
    elif init not in _INITS:
        raise ValueError(f'`init` must be a tensor or one of {_INITS}, but '
                         f'got {init!r}')
    if keys is None and dist.get_world_size() > 1:
        raise ValueError(
            'clustering over several ranks needs `keys`: an int64 number per '
            'point that is unique over all ranks (use backend "torch")')
    if keys is not None and (keys.shape != points.shape[:1]
                             or keys.dtype != torch.int64):
        raise ValueError(f'expected `keys` ({len(points)}, ) int64, but got '
                         f'{tuple(keys.shape)} {keys.dtype}')

    if weights is not None and (weights.shape != points.shape[:1] or not bool(
        (weights > 0).all())):
        raise ValueError(f'expected `weights` ({len(points)}) above 0, but '
                         f'got {tuple(weights.shape)}, the lowest '
                         f'{weights.min() if weights.numel() else "missing"}')
