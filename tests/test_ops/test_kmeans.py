import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlpcam.ops import kmeans, kmeans_sklearn


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bundles(num_clusters, members, channels=6, seed=0, spread=.02):
    """Narrow bundles of vectors of any length around orthogonal axes."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.eye(channels)[:num_clusters]
    points = torch.cat([
        axis + spread * torch.randn(n, channels, generator=generator)
        for axis, n in zip(axes, members)
    ])
    length = .5 + 4 * torch.rand(len(points), 1, generator=generator)
    truth = torch.repeat_interleave(
        torch.arange(num_clusters), torch.tensor(members))
    order = torch.randperm(len(points), generator=generator)
    return (points * length)[order], truth[order]


def lloyd(points, centers, tol=5., max_iters=300):
    """Official rule in plain NumPy; returns the moves as well."""
    points, centers = (np.asarray(x, np.float64) for x in (points, centers))
    moves = []
    while len(moves) < max_iters:
        cosine = (
            points / np.linalg.norm(points, axis=1, keepdims=True)
            @ (centers / np.linalg.norm(centers, axis=1, keepdims=True)).T)
        labels = cosine.argmax(1)
        updated = np.stack(
            [points[labels == k].mean(0) for k in range(len(centers))])
        moves.append(np.linalg.norm(updated - centers, axis=1).sum()**2)
        centers = updated
        if moves[-1] < tol:
            break
    return centers, labels, moves


def by_size(result):
    return result.centers[result.centers.norm(dim=1).argsort()]


# --- Lloyd's rounds -------------------------------------------------------


@pytest.mark.parametrize('num_clusters, seed', [(2, 0), (5, 1), (9, 2)])
@pytest.mark.parametrize('tol', [5., 1e-9])
def test_equals_plain_lloyd(num_clusters, seed, tol):
    points = randn(200, 8, seed=seed) + .3
    init = points[:num_clusters] * 2
    result = kmeans(points, num_clusters, init=init, tol=tol)
    centers, labels, moves = lloyd(points, init, tol)
    np.testing.assert_allclose(result.centers, centers, atol=1e-5)
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_array_equal(result.counts,
                                  np.bincount(labels, minlength=num_clusters))
    assert result.num_iters == len(moves) and result.converged


def test_one_round_by_hand():
    points = torch.tensor([[2., 0.], [4., 1.], [0., 3.], [1., 9.]])
    result = kmeans(
        points, 2, init=torch.tensor([[1., 0.], [0., 1.]]), max_iters=1)
    torch.testing.assert_close(result.centers,
                               torch.tensor([[3., .5], [.5, 6.]]))
    assert result.labels.tolist() == [0, 0, 1, 1]
    assert result.counts.tolist() == [2, 2]
    # moves sqrt(4.25) and sqrt(25.25): (7.09)^2 = 50.2
    assert result.num_iters == 1 and not result.converged


def test_direction_assigns_and_raw_mean_updates():
    """A long and a short vector of one direction are one cluster."""
    points = torch.tensor([[100., 1.], [1., 0.], [.01, .1], [0., 1.]])
    result = kmeans(points, 2, init=torch.tensor([[1., 0.], [0., 1.]]))
    assert result.labels.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(result.centers,
                               torch.tensor([[50.5, .5], [.005, .55]]))


def test_stop_rule_is_the_squared_sum_of_moves():
    points = randn(300, 8)
    init = points[:6]
    moves = lloyd(points, init, tol=0., max_iters=12)[2]
    stops = [n for n in range(1, 12) if 0 < moves[n] < min(moves[:n])]
    assert len(stops) >= 4
    for stop in stops:
        tol = (min(moves[:stop]) + moves[stop]) / 2
        result = kmeans(points, 6, init=init, tol=tol)
        assert (result.num_iters, result.converged) == (stop + 1, True)


def test_cap():
    points = randn(300, 8)
    result = kmeans(points, 6, init=points[:6], tol=0., max_iters=4)
    assert (result.num_iters, result.converged) == (4, False)
    centers, labels, _ = lloyd(points, points[:6], tol=0., max_iters=4)
    np.testing.assert_allclose(result.centers, centers, atol=1e-5)
    np.testing.assert_array_equal(result.labels, labels)


def test_centers_are_the_means_of_the_labels():
    points = randn(100, 5)
    result = kmeans(points, 7)
    for k in range(7):
        torch.testing.assert_close(result.centers[k],
                                   points[result.labels == k].mean(0))
    assert result.counts.tolist() == torch.bincount(result.labels).tolist()


# --- invariances ----------------------------------------------------------


@pytest.mark.parametrize('init', ['random', 'k-means++'])
@pytest.mark.parametrize('chunk_size', [1, 7, 99, 100, 101])
def test_chunk_size_changes_nothing(init, chunk_size):
    points = randn(100, 5)
    whole = kmeans(points, 7, init=init, seed=3)
    parts = kmeans(points, 7, init=init, seed=3, chunk_size=chunk_size)
    torch.testing.assert_close(parts.centers, whole.centers)
    assert torch.equal(parts.labels, whole.labels)
    assert parts.num_iters == whole.num_iters


@pytest.mark.parametrize('init', ['random', 'k-means++'])
def test_a_seed_repeats_itself(init):
    points = randn(100, 5)
    results = [kmeans(points, 7, init=init, seed=s) for s in (0, 0, 1)]
    assert torch.equal(results[0].centers, results[1].centers)
    assert torch.equal(results[0].labels, results[1].labels)
    assert not torch.equal(results[0].labels, results[2].labels)


@pytest.mark.parametrize('init', ['random', 'k-means++'])
def test_global_generators_play_no_part(init):
    points = randn(100, 5)
    torch.manual_seed(0)
    first = kmeans(points, 7, init=init)
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(kmeans(points, 7, init=init).centers, first.centers)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('init', ['random', 'k-means++'])
def test_order_of_points_with_keys_changes_nothing(init):
    points = randn(100, 5)
    keys = torch.randperm(
        10**6, generator=torch.Generator().manual_seed(0))[:100] * 977
    order = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    first = kmeans(points, 7, init=init, keys=keys)
    second = kmeans(points[order], 7, init=init, keys=keys[order])
    torch.testing.assert_close(second.centers, first.centers)
    assert torch.equal(second.labels, first.labels[order])
    # without the keys, the order is what counts
    assert not torch.equal(
        kmeans(points[order], 7, init=init).labels, first.labels[order])


def test_default_keys_are_row_numbers():
    points = randn(50, 5)
    assert torch.equal(
        kmeans(points, 4).labels,
        kmeans(points, 4, keys=torch.arange(50)).labels)


def test_shuffled_points_with_given_starts():
    points, init = randn(100, 5), randn(4, 5, seed=1)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    first = kmeans(points, 4, init=init)
    second = kmeans(points[order], 4, init=init)
    torch.testing.assert_close(second.centers, first.centers)
    assert torch.equal(second.labels, first.labels[order])


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
def test_types(dtype):
    points = randn(60, 5).to(dtype)
    result = kmeans(points, 4)
    assert result.centers.dtype == torch.float32
    expected = kmeans(points.float(), 4)
    assert torch.equal(result.labels, expected.labels)
    torch.testing.assert_close(result.centers, expected.centers)


def test_inputs_are_left_alone():
    points, init = randn(60, 5), randn(4, 5, seed=1)
    before = points.clone(), init.clone()
    kmeans(points, 4, init=init)
    assert torch.equal(points, before[0]) and torch.equal(init, before[1])


# --- starts ---------------------------------------------------------------


def test_random_starts_are_distinct_and_even():
    """Of orthogonal points all but the second start join the first."""
    second = torch.zeros(4)
    for seed in range(200):
        result = kmeans(2 * torch.eye(4), 2, max_iters=1, seed=seed)
        assert result.counts.tolist() == [3, 1]
        second += result.centers[1] / 2
    # 50 each; the standard deviation is 6
    assert second.sum() == 200 and (abs(second - 50) < 25).all()


@pytest.mark.parametrize('seed', range(8))
def test_plus_plus_finds_every_bundle(seed):
    points, truth = bundles(5, [60, 5, 3, 2, 1])
    result = kmeans(points, 5, init='k-means++', seed=seed, max_iters=1)
    for k in range(5):
        assert len(result.labels[truth == k].unique()) == 1
    assert sorted(result.counts.tolist()) == [1, 2, 3, 5, 60]


def test_random_starts_do_not():
    """The data of the test above are no trivial case."""
    points, _ = bundles(5, [60, 5, 3, 2, 1])
    found = [
        sorted(kmeans(points, 5, seed=s, max_iters=1).counts.tolist())
        for s in range(8)
    ]
    assert [1, 2, 3, 5, 60] not in found


def test_plus_plus_prefers_far_points():
    """Weights .01 and 1 (squared cosine distances .1 and 1)."""
    axis = torch.tensor([[1., 0., 0.]])
    near = torch.tensor([[.9, 0., (1 - .81)**.5]])
    far = torch.tensor([[0., 1., 0.]])
    points = torch.cat([axis.expand(20, 3), near, far])
    alone = [
        kmeans(points, 2, init='k-means++', seed=s, max_iters=1).labels[-1]
        not in kmeans(points, 2, init='k-means++', seed=s,
                      max_iters=1).labels[:20] for s in range(30)
    ]
    assert np.mean(alone) > .9


# --- edges ----------------------------------------------------------------


def test_no_point():
    for cluster in (kmeans, kmeans_sklearn):
        result = cluster(torch.zeros(0, 5), 3)
        assert result.centers.shape == (0, 5)
        assert result.centers.dtype == torch.float32
        assert result.labels.shape == result.counts.shape == (0, )
        assert result.labels.dtype == result.counts.dtype == torch.int64
        assert result.num_iters == 0 and result.converged


@pytest.mark.parametrize('init', ['random', 'k-means++'])
@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_fewer_points_than_clusters(cluster, init):
    points = torch.tensor([[0., 3.], [2., 0.]])
    result = cluster(points, 5, init=init)
    torch.testing.assert_close(by_size(result), points.flip(0))
    torch.testing.assert_close(result.centers[result.labels], points)
    assert result.counts.tolist() == [1, 1]


def test_fewer_points_than_starts():
    init = randn(5, 2)
    points = torch.tensor([[0., 3.]])
    result = kmeans(points, 5, init=init)
    assert torch.equal(result.centers, points)
    assert result.labels.tolist() == [0]


@pytest.mark.parametrize('init', ['random', 'k-means++'])
@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_zero_vectors_are_left_out(cluster, init):
    points, _ = bundles(3, [5, 6, 7])
    with_zeros = torch.zeros(22, 6)
    places = torch.tensor(sorted({*range(22)} - {0, 3, 10, 21}))
    with_zeros[places] = points
    result = cluster(with_zeros, 3, init=init)
    assert result.labels[[0, 3, 10, 21]].tolist() == [-1] * 4
    assert sorted(result.counts.tolist()) == [5, 6, 7]
    assert not result.centers.isnan().any()
    for k in range(3):
        torch.testing.assert_close(result.centers[k],
                                   with_zeros[result.labels == k].mean(0))


@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_only_zero_vectors(cluster):
    result = cluster(torch.zeros(4, 3), 2)
    assert result.centers.shape == (0, 3)
    assert result.labels.tolist() == [-1] * 4


@pytest.mark.filterwarnings('ignore:Number of distinct clusters')
@pytest.mark.parametrize('init', ['random', 'k-means++'])
@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_duplicates_make_one_cluster(cluster, init):
    """Two directions at several lengths, room for four centres."""
    points = torch.tensor([[1., 0.], [2., 0.], [3., 0.], [0., 1.], [0., 5.],
                           [1., 0.]])
    result = cluster(points, 4, init=init)
    # two centres may share a direction, but each has members
    assert (result.counts > 0).all() and result.counts.sum() == 6
    assert len(result.centers) <= 4
    for k in range(len(result.centers)):
        torch.testing.assert_close(result.centers[k],
                                   points[result.labels == k].mean(0))
    assert result.labels.min() >= 0
    assert not set(result.labels[:3].tolist()) & set(
        result.labels[3:5].tolist())


def test_all_points_alike():
    points = torch.tensor([[1., 2.]]).repeat(8, 1)
    for init in ('random', 'k-means++'):
        result = kmeans(points, 3, init=init)
        assert torch.equal(result.centers, points[:1])
        assert result.counts.tolist() == [8] and result.converged
        assert result.labels.tolist() == [0] * 8


def test_empty_cluster_gets_the_farthest_point():
    """The third start wins nothing; [-1, .1] is far from all centres."""
    points = torch.tensor([[1., 0.], [1., .2], [0., 1.], [.1, 1.], [-1., .1]])
    init = torch.tensor([[1., 0.], [0., 1.], [0., -1.]])
    first = kmeans(points, 3, init=init, max_iters=1)
    assert first.labels.tolist() == [0, 0, 1, 1, 1]
    assert first.counts.tolist() == [2, 3]  # it describes nothing yet
    result = kmeans(points, 3, init=init)
    assert result.labels.tolist() == [0, 0, 1, 1, 2]
    torch.testing.assert_close(result.centers,
                               torch.tensor([[1., .1], [.05, 1.], [-1., .1]]))
    assert result.converged


@pytest.mark.parametrize('keys, winner', [([5, 9, 2], 2), ([5, 2, 9], 1)])
def test_tie_of_the_farthest_goes_to_the_lower_key(keys, winner):
    """The second start wins nothing; two points are equally far."""
    init = torch.tensor([[1., 0., 0.], [-1., 0., 0.]])
    result = kmeans(torch.eye(3), 2, init=init, keys=torch.tensor(keys))
    assert torch.nonzero(result.labels == 1).flatten().tolist() == [winner]


def test_several_empty_clusters():
    points, truth = bundles(4, [20, 20, 20, 20])
    init = -torch.ones(4, 6)
    init[0] = points[0]
    result = kmeans(points, 4, init=init, tol=1e-6)
    assert (result.counts > 0).all() and result.counts.sum() == 80
    assert len(result.centers) == 4
    assert not result.centers.isnan().any()
    centers, labels, _ = lloyd(points, result.centers, tol=1e-6)
    np.testing.assert_array_equal(labels, result.labels)  # a fixed point


def test_one_cluster_is_the_mean():
    points = randn(40, 3)
    for result in (kmeans(points, 1), kmeans_sklearn(points, 1)):
        torch.testing.assert_close(result.centers, points.mean(0)[None])
        assert result.labels.tolist() == [0] * 40


# --- scikit-learn ---------------------------------------------------------


@pytest.mark.parametrize('seed', range(3))
def test_backends_agree_on_clear_clusters(seed):
    points, truth = bundles(4, [30, 20, 10, 5], seed=seed)
    ours = kmeans(points, 4, init='k-means++', seed=seed)
    theirs = kmeans_sklearn(points, 4, seed=seed)
    torch.testing.assert_close(by_size(ours), by_size(theirs))
    for result in (ours, theirs):
        assert result.converged
        for k in range(4):
            torch.testing.assert_close(
                result.centers[result.labels[truth == k]][0],
                points[truth == k].mean(0))


def test_sklearn_with_given_starts():
    points, _ = bundles(3, [9, 6, 3])
    init = 5 * torch.eye(6)[[2, 0, 1]]
    result = kmeans_sklearn(points, 3, init=init)
    assert result.counts.tolist() == [3, 9, 6]
    assert result.labels.dtype == torch.int64
    assert torch.equal(
        result.labels,
        (F.normalize(points, dim=1) @ F.normalize(init, dim=1).T).argmax(1))


# --- weights --------------------------------------------------------------


@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_centres_are_weighted_means(cluster):
    points = torch.tensor([[1., 0.], [4., 0.], [0., 2.], [0., 0.]])
    result = cluster(
        points, 2, init=torch.eye(2), weights=torch.tensor([3., 1., .5, 9.]))
    assert torch.equal(result.centers, torch.tensor([[1.75, 0.], [0., 2.]]))
    assert result.counts.tolist() == [2, 1]


def test_a_weight_of_three_is_three_points():
    points, times = randn(40, 4), torch.arange(40) % 3 + 1
    init = randn(5, 4, seed=1)
    weighted = kmeans(points, 5, init=init, weights=times.float())
    repeated = kmeans(points.repeat_interleave(times, 0), 5, init=init)
    torch.testing.assert_close(weighted.centers, repeated.centers)
    assert torch.equal(
        weighted.labels.repeat_interleave(times), repeated.labels)


# --- errors ---------------------------------------------------------------


@pytest.mark.parametrize('kwargs, message', [
    (dict(points=torch.zeros(3)), r'`points` of shape \(N, D\).*\(3,\)'),
    (dict(points=torch.zeros(3, 2, dtype=torch.int64)), 'torch.int64'),
    (dict(num_clusters=0), 'at least 1, but got 0 and 300'),
    (dict(max_iters=0), 'at least 1, but got 2 and 0'),
    (dict(init='kmeans'), r"one of \('random', 'k-means\+\+'\).*'kmeans'"),
    (dict(init=torch.zeros(3, 4)), r'\(2, 4\), but got \(3, 4\)'),
    (dict(init=torch.zeros(2, 5)), r'\(2, 4\), but got \(2, 5\)'),
    (dict(weights=torch.ones(5)), r'\(6\) above 0, but got \(5,\)'),
    (dict(weights=torch.arange(6.)), 'above 0, but got .* lowest 0'),
])
@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_argument_errors(cluster, kwargs, message):
    kwargs = {**dict(points=torch.ones(6, 4), num_clusters=2), **kwargs}
    with pytest.raises(ValueError, match=message):
        cluster(kwargs.pop('points'), kwargs.pop('num_clusters'), **kwargs)


@pytest.mark.parametrize('keys, message', [
    (torch.arange(5), r'\(6, \) int64, but got \(5,\) torch.int64'),
    (torch.arange(6).int(), r'\(6, \) int64, but got \(6,\) torch.int32'),
])
def test_key_errors(keys, message):
    with pytest.raises(ValueError, match=message):
        kmeans(torch.ones(6, 4), 2, keys=keys)


@pytest.mark.parametrize('cluster', [kmeans, kmeans_sklearn])
def test_several_ranks_need_keys(cluster, monkeypatch):
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda *_: 2)
    with pytest.raises(ValueError, match='needs `keys`.*backend "torch"'):
        cluster(torch.ones(6, 4), 2)
