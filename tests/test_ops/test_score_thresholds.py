import numpy as np
import pytest
import torch

from mmlpcam.ops import (AutoThreshold, background_score, li_threshold,
                         otsu_thresholds)


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


def cross_entropy(scores, threshold):
    """The definition, side by side."""
    sides = scores[scores < threshold], scores[scores >= threshold]
    return -sum(s.sum() * np.log(s.mean()) for s in sides if len(s))


@pytest.mark.parametrize('seed', range(3))
def test_no_threshold_has_less_cross_entropy(seed):
    rng = np.random.default_rng(seed)
    # centres of bins, as above; most are low
    scores = (rng.beta(0.4, 2, 500) * 255.99).astype(int) / 256 + 1 / 512
    found = li_threshold(torch.from_numpy(scores))
    lowest, highest = scores.min(), scores.max()
    grid = [t for t in np.arange(1, 256) / 256 if lowest < t <= highest]
    assert cross_entropy(scores,
                         found) <= min(cross_entropy(scores, t)
                                       for t in grid) + 1e-9
    assert found < otsu_thresholds(torch.from_numpy(scores))[0]


@pytest.mark.parametrize('value', [0., 0.3, 1.])
def test_li_with_nothing_to_separate(value):
    assert li_threshold(torch.full((4, ), value)) == 0.5


def test_li_without_scores():
    with pytest.raises(ValueError, match='expected scores, but got none'):
        li_threshold(torch.zeros(0))


@pytest.mark.parametrize('method', ['otsu', 'li'])
def test_halfway_to_the_typical_threshold(method):
    maps = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    own = background_score(maps, method)
    assert own == dict(
        otsu=otsu_thresholds(maps.amax(0))[0],
        li=li_threshold(maps.amax(0)))[method]
    assert background_score(maps, f'{method}:0.2') == pytest.approx(
        (own + 0.2) / 2)
    none = maps[:0]
    assert background_score(none, method) == 0.5
    assert background_score(none, f'{method}:0.2') == 0.2
    assert background_score(maps, 0.3) == 0.3


@pytest.mark.parametrize('text', ['otsu', 'li', 'otsu:0.4297', 'li:0.0000'])
def test_thresholds_as_text(text):
    assert str(AutoThreshold.parse(text)) == text


@pytest.mark.parametrize(
    'text', ['', 'ostu', 'otsu:', 'otsu:a', 'otsu:1.1', 'otsu:-1', 'otsu:nan'])
def test_texts_that_are_no_thresholds(text):
    with pytest.raises(ValueError, match=r'expected one of .*, but got '):
        AutoThreshold.parse(text)
