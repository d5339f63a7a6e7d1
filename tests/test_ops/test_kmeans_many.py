import pytest
import torch

from mmlpcam.ops import PointSet, kmeans, kmeans_many
from mmlpcam.utils import parallel


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def sets_of(sizes, channels):
    return [
        PointSet(
            rand(n, channels, seed=n)**4,
            torch.randperm(n, generator=torch.Generator().manual_seed(n)),
            rand(n, seed=n) + .1) for n in sizes
    ]


@pytest.mark.parametrize('init', ['random', 'k-means++', 'given'])
@pytest.mark.parametrize('channels', [6, 33])
def test_sets_together_are_as_alone_to_the_bit(init, channels):
    """Of all sizes: fewer points than clusters, none, one that converges."""
    sets = sets_of((400, 0, 3, 90, 1500), channels)
    if init == 'given':
        init = [rand(7, channels, seed=n) for n in range(5)]
    together = kmeans_many(sets, 7, init=init, tol=1e-4)
    assert len({each.num_iters for each in together}) >= 4
    for n, (each, result) in enumerate(zip(sets, together)):
        alone = kmeans(
            each.points,
            7,
            init=init if isinstance(init, str) else init[n],
            keys=each.keys,
            weights=each.weights,
            tol=1e-4)
        for ours, theirs in zip(result, alone):
            if isinstance(ours, torch.Tensor):
                assert torch.equal(ours, theirs)
            else:
                assert ours == theirs


def test_empty_clusters_of_several_sets():
    """In each set two starts win nothing, and are re-seeded by their set."""
    sets = sets_of((50, 60), 6)
    start = torch.cat([torch.ones(1, 6), -torch.ones(2, 6)])
    together = kmeans_many(sets, 3, init=[start, start], tol=1e-4)
    for each, result in zip(sets, together):
        assert (result.counts > 0).all() and len(result.counts) == 3
        alone = kmeans(
            each.points,
            3,
            init=start,
            keys=each.keys,
            weights=each.weights,
            tol=1e-4)
        assert torch.equal(result.centers, alone.centers)


def test_no_set():
    assert kmeans_many([], 3) == []


def test_each_set_is_checked():
    with pytest.raises(ValueError, match='above 0'):
        kmeans_many([
            PointSet(torch.ones(2, 4)),
            PointSet(torch.ones(2, 4), weights=torch.zeros(2))
        ], 2)


def test_long_clustering_tells_how_far_it_is(monkeypatch):
    lines = []
    monkeypatch.setattr(parallel, 'SECONDS_BETWEEN_LINES', -1)
    monkeypatch.setattr(parallel, 'print_log',
                        lambda text, **_: lines.append(text))
    sets = sets_of((400, 3, 0), 6)
    results = kmeans_many(sets, 7, tol=1e-4)
    assert len(lines) == results[0].num_iters > 1
    assert lines[0] == 'k-means: round 1, 2 of 3 sets go on'
    assert lines[-1].endswith('1 of 3 sets go on')
