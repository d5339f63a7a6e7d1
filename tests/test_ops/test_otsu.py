import numpy as np
import pytest
import torch

from mmlpcam.ops import otsu_thresholds


def variance_between(scores, thresholds):
    """The definition, class by class."""
    edges = [-1, *thresholds, 2]
    classes = [
        scores[(scores >= low) & (scores < high)]
        for low, high in zip(edges, edges[1:])
    ]
    return sum(
        len(c) / len(scores) * (c.mean() - scores.mean())**2 for c in classes
        if len(c))


@pytest.mark.parametrize('num', [1, 2])
@pytest.mark.parametrize('seed', range(3))
def test_no_other_thresholds_separate_better(num, seed):
    rng = np.random.default_rng(seed)
    # centres of bins, where both definitions have the same means
    scores = (rng.beta(0.4, 0.6, 500) * 255.99).astype(int) / 256 + 1 / 512
    found = otsu_thresholds(torch.from_numpy(scores), num)
    assert found == sorted(found)
    grid = np.arange(8, 256, 8) / 256
    others = [(a, ) for a in grid] if num == 1 else [(a, b) for a in grid
                                                     for b in grid if a < b]
    best = max(variance_between(scores, other) for other in others)
    assert variance_between(scores, found) >= best - 1e-12


def test_two_groups():
    scores = torch.tensor([[0.0, 0.1], [0.1, 0.8], [0.9, 0.85]])
    threshold, = otsu_thresholds(scores)
    assert 0.1 < threshold <= 0.8
    low, high = otsu_thresholds(torch.tensor([0., .5, .5, 1.]), 2)
    assert 0 < low <= .5 < high <= 1


@pytest.mark.parametrize('value', [0., 0.3, 1.])
def test_nothing_to_separate(value):
    assert otsu_thresholds(torch.full((4, ), value)) == [0.5]
    assert otsu_thresholds(torch.full((4, ), value), 2) == [0.5, 0.5]


@pytest.mark.parametrize('scores, num', [(torch.zeros(0), 1),
                                         (torch.zeros(3), 3)])
def test_bad_arguments(scores, num):
    with pytest.raises(ValueError, match='expected scores and 1 or 2'):
        otsu_thresholds(scores, num)
