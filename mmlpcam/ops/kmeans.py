"""Cosine k-means with raw-mean centres, data-parallel over all ranks."""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine import dist
from torch import Tensor

_NORM_EPS = 1e-8
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


def kmeans(points: Tensor,
           num_clusters: int,
           *,
           init: str | Tensor = 'random',
           tol: float = 5.,
           max_iters: int = 300,
           seed: int = 0,
           keys: Tensor | None = None,
           weights: Tensor | None = None,
           chunk_size: int = 16384) -> KMeansResult:
    """Cluster vectors by direction, keeping centres at their raw scale.

    Points are assigned by cosine distance, centres are the plain mean of
    their un-normalised members (LPCAM classifies centres, so their length
    counts), weighted by ``weights``. It stops once ``(sum_k |move of centre
    k|)^2 < tol``, as in the official code. An empty cluster is re-seeded with
    the point that is farthest from its centre. Memory beyond the points:
    ``chunk_size x K``.

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
        chunk_size (int): Points handled at once. Defaults to 16384.

    Returns:
        KMeansResult: Centres, labels and counts.

    Raises:
        ValueError: If an argument is out of range, or `keys` are missing
            under a launcher.
    """
    _check_args(points, num_clusters, init, max_iters, keys, weights)
    if keys is None:
        keys = torch.arange(len(points), device=points.device)
    norms = torch.cat(
        [chunk.norm(dim=1) for chunk in _chunks(points, chunk_size)]
        or [points.new_zeros(0, dtype=torch.float32)])
    valid = norms > _NORM_EPS
    total = int(_reduce(valid.sum()))
    num_clusters = min(num_clusters, total)
    labels = torch.full_like(keys, -1)
    if num_clusters == 0:
        return KMeansResult(
            points.new_zeros(0, points.shape[1], dtype=torch.float32), labels,
            keys.new_zeros(0), 0, True)

    if isinstance(init, Tensor):
        centers = init[:num_clusters].to(points.device, torch.float32)
    elif init == 'random':
        centers = _lowest(
            _uniform(keys, seed).masked_fill(~valid, torch.inf), keys, points,
            num_clusters)
    else:
        centers = _plus_plus(points, norms, valid, keys, num_clusters, seed,
                             chunk_size)

    converged = False
    num_iters = 0
    counts = keys.new_zeros(num_clusters)
    while not converged and num_iters < max_iters:
        num_iters += 1
        labels, similarity = _assign(points, norms, valid, centers, chunk_size)
        means, counts = _reduce_members(points, labels, num_clusters,
                                        chunk_size, weights)
        updated = means.float()
        empty = torch.nonzero(counts == 0).flatten()
        if len(empty):
            farthest = _lowest(
                similarity.masked_fill(~valid, torch.inf), keys, points,
                len(empty))
            updated[empty] = farthest
        moves = (updated - centers).norm(dim=1)
        # A centre that has just been re-seeded gets a round to win members.
        converged = bool(moves.sum()**2 < tol) and not moves[empty].any()
        centers = updated

    # Clusters still empty at the end are re-seeded centres that never won a
    # member: they describe nothing.
    kept = counts > 0
    renumber = torch.cumsum(kept, 0) - 1
    labels = torch.where(labels >= 0, renumber[labels.clamp_min(0)], labels)
    return KMeansResult(centers[kept], labels, counts[kept], num_iters,
                        converged)


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
    valid = points.float().cpu().norm(dim=1) > _NORM_EPS
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
    labels = labels.to(points.device)
    means, counts = _reduce_members(points, labels, num_clusters, len(points),
                                    weights)
    kept = counts > 0
    labels = torch.where(labels >= 0,
                         (torch.cumsum(kept, 0) - 1)[labels.clamp_min(0)],
                         labels)
    return KMeansResult(means[kept].float(), labels, counts[kept],
                        estimator.n_iter_, estimator.n_iter_ < max_iters)


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


def _chunks(points: Tensor, chunk_size: int) -> Iterator[Tensor]:
    for chunk in points.split(chunk_size):
        if len(chunk):
            yield chunk.float()


def _reduce(value: Tensor) -> Tensor:
    dist.all_reduce(value)
    return value


def _assign(points: Tensor, norms: Tensor, valid: Tensor, centers: Tensor,
            chunk_size: int) -> tuple[Tensor, Tensor]:
    """Nearest centre of each point and the cosine to it."""
    # The length of a point does not change which centre is nearest.
    unit = F.normalize(centers, dim=1, eps=_NORM_EPS).t()
    best = [(chunk @ unit).max(dim=1) for chunk in _chunks(points, chunk_size)]
    if not best:
        return (torch.full_like(valid, -1, dtype=torch.int64), norms)
    labels = torch.cat([b.indices for b in best]).masked_fill(~valid, -1)
    cosine = torch.cat([b.values for b in best]) / norms.clamp_min(_NORM_EPS)
    return labels, cosine


def _reduce_members(points: Tensor, labels: Tensor, num_clusters: int,
                    chunk_size: int,
                    weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean (K, D) float64 and number (K, ) of members over all ranks."""
    sums = points.new_zeros(num_clusters, points.shape[1], dtype=torch.float64)
    masses = sums.new_zeros(num_clusters)
    start = 0
    for chunk in _chunks(points, chunk_size):
        rows = slice(start, start + len(chunk))
        start += len(chunk)
        shares = F.one_hot(labels[rows] + 1, num_clusters + 1)[:, 1:].to(chunk)
        if weights is not None:
            shares = shares * weights[rows, None].to(chunk)
        sums += (shares.t() @ chunk).double()
        masses += shares.double().sum(0)
    counts = torch.bincount(labels[labels >= 0], minlength=num_clusters)
    sums, masses, counts = (_reduce(value) for value in (sums, masses, counts))
    return sums / torch.where(masses > 0, masses, 1)[:, None], counts


def _lowest(scores: Tensor, keys: Tensor, points: Tensor, num: int) -> Tensor:
    """Take the points with the lowest finite scores over all ranks.

    Ties go to the lower key, so that the choice does not depend on how the
    points are spread over ranks.
    """
    order = torch.argsort(keys)
    order = order[torch.argsort(scores[order], stable=True)[:num]]
    candidates = points.new_full((num, points.shape[1]),
                                 0,
                                 dtype=torch.float32)
    score = scores.new_full((num, ), torch.inf, dtype=torch.float64)
    key = keys.new_full((num, ), torch.iinfo(torch.int64).max)
    candidates[:len(order)] = points[order].float()
    score[:len(order)] = scores[order].double()
    key[:len(order)] = keys[order]
    candidates = torch.cat(dist.all_gather(candidates))
    score = torch.cat(dist.all_gather(score))
    key = torch.cat(dist.all_gather(key))
    order = torch.argsort(key)
    order = order[torch.argsort(score[order], stable=True)[:num]]
    return candidates[order]


def _plus_plus(points: Tensor, norms: Tensor, valid: Tensor, keys: Tensor,
               num_clusters: int, seed: int, chunk_size: int) -> Tensor:
    """Seed by k-means++ with the cosine distance.

    A point with weight w is drawn by an exponential race: the lowest
    ``-log(u) / w`` wins with probability proportional to w. Unlike inverse
    sampling, this needs no order over the points of all ranks.
    """
    weight = valid.double()
    centers = points.new_zeros(0, points.shape[1], dtype=torch.float32)
    while len(centers) < num_clusters:
        uniform = _uniform(keys, seed + len(centers))
        race = torch.where(weight > 0, -torch.log(uniform) / weight, torch.inf)
        if int(_reduce((weight > 0).sum())) == 0:
            break  # every distinct direction is a centre already
        centers = torch.cat([centers, _lowest(race, keys, points, 1)])
        cosine = _assign(points, norms, valid, centers[-1:], chunk_size)[1]
        distance = (1 - cosine.double()).clamp_min(0)
        # rounding leaves 1e-7 between equal directions
        distance[distance < 1e-6] = 0
        weight = torch.minimum(weight, distance**2) * valid
    missing = num_clusters - len(centers)
    return torch.cat([centers, centers[-1:].expand(missing, -1)])


def _uniform(keys: Tensor, seed: int) -> Tensor:
    """Hash keys to float64 in (0, 1) with SplitMix64."""

    def signed(value: int) -> int:
        value &= (1 << 64) - 1
        return value - (1 << 64) if value >> 63 else value

    def shift(value: Tensor, bits: int) -> Tensor:
        return (value >> bits) & ((1 << (64 - bits)) - 1)

    value = keys + signed((seed + 1) * 0x9E3779B97F4A7C15)
    value = (value ^ shift(value, 30)) * signed(0xBF58476D1CE4E5B9)
    value = (value ^ shift(value, 27)) * signed(0x94D049BB133111EB)
    value = value ^ shift(value, 31)
    return (shift(value, 11).double() + .5) / (1 << 53)
