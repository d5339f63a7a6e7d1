"""Starting centres of k-means, which do not depend on the ranks."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine import dist
from torch import Tensor

from .kmeans_points import LocalPoints


class Ranking(NamedTuple):
    """Which points of a set are looked for: those with the lowest scores.

    Attributes:
        local (LocalPoints): The points of this rank.
        scores (Tensor): (N, ) floating; infinite for points that must not be
            chosen.
        number (int): How many are looked for.
    """
    local: LocalPoints
    scores: Tensor
    number: int


def random_centers(sets: Sequence[LocalPoints], numbers: Sequence[int],
                   seed: int) -> list[Tensor]:
    """Take distinct points of each set.

    Args:
        sets (Sequence[LocalPoints]): Sets on this rank.
        numbers (Sequence[int]): Number of centres K of each.
        seed (int): Seed of the draws.

    Returns:
        list[Tensor]: Centres (K, D) float32 of each set.
    """
    return [
        centers for centers, _ in lowest([
            Ranking(
                each,
                _uniform(each.keys, seed).masked_fill(~each.valid, torch.inf),
                number) for each, number in zip(sets, numbers)
        ])
    ]


def plus_plus(sets: Sequence[LocalPoints], numbers: Sequence[int],
              seed: int) -> list[Tensor]:
    """Seed by k-means++ with the cosine distance.

    A point with weight w is drawn by an exponential race: the lowest
    ``-log(u) / w`` wins with probability proportional to w. Unlike inverse
    sampling, this needs no order over the points of all ranks. Each centre
    but the last takes one pass over the points. Where every direction is a
    centre already, the last one is repeated.

    Args:
        sets (Sequence[LocalPoints]): Sets on this rank.
        numbers (Sequence[int]): Number of centres K of each.
        seed (int): Seed of the draws.

    Returns:
        list[Tensor]: Centres (K, D) float32 of each set.
    """
    weights = [each.valid.double() for each in sets]
    centers: list[list[Tensor]] = [[] for _ in sets]
    for i in range(max(numbers, default=0)):
        growing = [n for n, number in enumerate(numbers) if i < number]
        found = lowest([
            Ranking(
                sets[n],
                torch.where(
                    weights[n] > 0,
                    -_uniform(sets[n].keys, seed + i).log() / weights[n],
                    torch.inf), 1) for n in growing
        ])
        for n, (rows, scores) in zip(growing, found):
            center = rows[0]
            if i:
                center = torch.where(scores.isfinite(), center, centers[n][-1])
            centers[n].append(center)
            if i + 1 < numbers[n]:
                distance = (1 - sets[n].cosines(center).double()).clamp_min(0)
                # rounding leaves 1e-7 between equal directions
                distance[distance < 1e-6] = 0
                weights[n] = torch.minimum(weights[n], distance**
                                           2) * sets[n].valid
    return [
        torch.stack(rows) if rows else each.points.new_zeros(
            0, each.points.shape[1], dtype=torch.float32)
        for each, rows in zip(sets, centers)
    ]


def lowest(rankings: Sequence[Ranking]) -> list[tuple[Tensor, Tensor]]:
    """Find the points with the lowest scores over all ranks.

    Ties go to the lower key, so that the choice does not depend on how the
    points are spread over ranks. The ranks exchange those of all sets at
    once.

    Args:
        rankings (Sequence[Ranking]): What is looked for in each set.

    Returns:
        list[tuple[Tensor, Tensor]]: Points (number, D) float32 and their
        scores (number, ) float64, the lowest first, of each set. Where there
        are too few points, zeros with an infinite score follow.
    """
    numbers = [each.number for each in rankings]
    local = [torch.cat(part) for part in zip(*map(_local_lowest, rankings))]
    # of each kind, for each set: those of all ranks
    rows, scores, keys = (
        zip(*[part.split(numbers) for part in dist.all_gather(kind)])
        for kind in local)
    found = []
    for number, *parts in zip(numbers, rows, scores, keys):
        row, score, key = map(torch.cat, parts)
        order = _order(score, key)[:number]
        found.append((row[order], score[order]))
    return found


def _local_lowest(ranking: Ranking) -> tuple[Tensor, Tensor, Tensor]:
    """Points, scores and keys of this rank, filled up to the number."""
    (local, scores, number), points = ranking, ranking.local.points
    rows = points.new_zeros(number, points.shape[1], dtype=torch.float32)
    score = scores.new_full((number, ), torch.inf, dtype=torch.float64)
    key = local.keys.new_full((number, ), torch.iinfo(torch.int64).max)
    present = min(number, len(scores))
    if present:
        # few are left to be sorted
        bound = scores.kthvalue(present).values
        order = torch.nonzero(scores <= bound).flatten()
        order = order[_order(scores[order], local.keys[order])[:present]]
        rows[:present] = points[order].float()
        score[:present] = scores[order].double()
        key[:present] = local.keys[order]
    return rows, score, key


def _order(scores: Tensor, keys: Tensor) -> Tensor:
    order = torch.argsort(keys)
    return order[torch.argsort(scores[order], stable=True)]


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
