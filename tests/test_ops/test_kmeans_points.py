import pytest
import torch
import torch.nn.functional as F

from mmlpcam.ops import kmeans, kmeans_points
from mmlpcam.ops.kmeans_points import LocalPoints


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def clustered(number, channels, bundles, seed=0):
    """Bundles of vectors of any length that overlap a little."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.rand(bundles, channels, generator=generator)**4
    points = axes.repeat(number // bundles + 1, 1)[:number]
    points += .15 * torch.randn(number, channels, generator=generator)
    return points * (.2 + 3 * torch.rand(number, 1, generator=generator))


POINTS = dict(
    clustered=clustered(1500, 24, 9),
    unclustered=rand(1500, 24) - .4,
    # directions repeat, and some are those of several centres
    duplicates=rand(60, 24)[torch.arange(1500) % 60])


@pytest.fixture(params=[False, True], ids=['exact', 'rough'], autouse=True)
def rough(request, monkeypatch):
    """Whether there is a rough copy, which any CPU can multiply somehow."""
    monkeypatch.setattr(kmeans_points, 'multiplies_bfloat16',
                        lambda device: request.param)
    return request.param


@pytest.fixture
def num_read(monkeypatch):
    """How many points were multiplied with the centres, in each batch."""
    numbers, products = [], LocalPoints._products

    def counting(self, rows):
        found = products(self, rows)
        numbers.append(len(found))
        return found

    monkeypatch.setattr(LocalPoints, '_products', counting)
    return numbers


# --- assignment -----------------------------------------------------------


@pytest.mark.parametrize('dtype', [torch.float32, torch.half, torch.bfloat16])
@pytest.mark.parametrize('kind', POINTS)
def test_each_round_assigns_as_reading_all(kind, dtype, num_read):
    points = POINTS[kind].to(dtype)
    points[[5, 700]] = 0  # in no cluster
    exact = F.normalize(points.double(), dim=1)
    local = LocalPoints(points, 12, chunk_size=256)
    centers = points[10:22].float()
    for _ in range(40):
        local.assign(centers)
        cosines = exact @ F.normalize(centers.double(), dim=1).t()
        labels = cosines.argmax(1)
        first, second = cosines.topk(2, dim=1).values.t()
        clear = local.valid & (first - second > 1e-6)
        assert torch.equal(local.labels[clear], labels[clear])
        assert local.labels[[5, 700]].tolist() == [-1, -1]
        # where the two highest are the same, it is one of them
        own = cosines.gather(1, local.labels[:, None].clamp_min(0)).flatten()
        assert (first - own)[local.valid].max() < 1e-6
        counts = local.sums[:, -1:]
        centers = torch.where(counts > 0, local.sums[:, :-2] / counts,
                              centers.double()).float()
    assert sum(num_read) < .7 * 40 * len(points)


def test_ties_go_to_the_first_in_each_round():
    """Exact products: some points are equally near to two centres or more."""
    points = torch.tensor([[1., 1., 0.], [0., 2., 2.], [3., 3., 3.],
                           [1., 0., 0.]]).repeat(50, 1)
    local = LocalPoints(points, 3)
    for order in ([0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 0, 1]):
        centers = 2 * torch.eye(3)[order]
        local.assign(centers)
        first = (points @ centers.t()).argmax(1)
        assert torch.equal(local.labels, first)
        assert torch.equal(local.sums[:, -1].long(),
                           torch.bincount(first, minlength=3))


def test_lead_is_lost_to_two_moves():
    """Each centre turns by 5 degrees: either move alone is not enough."""

    def at(*degrees):
        angles = torch.tensor(degrees).deg2rad()
        return torch.stack([angles.cos(), angles.sin()], 1)

    local = LocalPoints(at(41., 10., 80.), 2)
    for angles, label in (((0., 90.), 0), ((-5., 90.), 0), ((0., 90.), 0),
                          ((-5., 85.), 1)):
        local.assign(at(*angles))
        assert local.labels.tolist() == [label, 0, 1]


@pytest.mark.parametrize('kind', POINTS)
@pytest.mark.parametrize('num_clusters', [1, 2, 12, 40])
def test_whole_clustering_is_that_of_reading_all(kind, num_clusters,
                                                 monkeypatch, num_read):
    """Half of the starts win nothing, and are re-seeded round by round."""
    points = POINTS[kind]
    starts = points[:num_clusters].clone()
    starts[(num_clusters + 1) // 2:] *= -1
    options = dict(init=starts, tol=1e-7, max_iters=60)
    result, few = kmeans(points, num_clusters, **options), sum(num_read)
    assign = LocalPoints.assign

    def assign_all(self, centers):
        self._leads.zero_()
        self._rough = None
        assign(self, centers)

    monkeypatch.setattr(LocalPoints, 'assign', assign_all)
    num_read.clear()
    every = kmeans(points, num_clusters, **options)
    for ours, theirs in zip(result[:3], every[:3]):
        assert torch.equal(ours, theirs)
    assert result[3:] == every[3:]
    if kind != 'duplicates':  # where each round re-seeds a centre
        assert few < sum(num_read)


@pytest.mark.parametrize('gap', [0, 1e-5, 1e-4, 1e-3, 2e-2])
def test_rough_copy_settles_what_it_can(rough, gap, num_read):
    """Points beside the border of two centres that are nearly one."""
    first = F.normalize(rand(1, 64), dim=1)
    aside = F.normalize(rand(1, 64, seed=1) - .5 * first, dim=1)
    centers = torch.cat([first + .02 * aside, first - .02 * aside])
    middle = 5 * F.normalize(first + .3 * (rand(500, 64, seed=2) - .5), dim=1)
    across = F.normalize(centers, dim=1).double()
    across = across[0] - across[1]
    middle = middle.double()
    middle -= (middle @ across)[:, None] / (across @ across) * across
    sides = torch.where(rand(500, seed=3) < .5, -1, 1)
    points = middle + (gap * 5 * sides)[:, None] * across / (across @ across)
    local = LocalPoints(points.float(), 2)
    local.assign(centers)
    if gap:
        assert torch.equal(local.labels, (sides < 0).long())
    assert 0 <= sum(num_read) <= 500
    if rough and gap == 2e-2:
        assert sum(num_read) == 0
    if not rough or gap <= 1e-5:
        assert sum(num_read) == 500


# --- sums -----------------------------------------------------------------


@pytest.mark.parametrize('chunk_size', [1, 16, 200])
def test_sums_follow_the_points_that_move(chunk_size):
    points, weights = rand(100, 5) - .3, rand(100, seed=1) + .1
    points[[4, 40]] = 0  # in no cluster
    local = LocalPoints(points, 4, None, weights, chunk_size)
    for seed in (2, 2, 3, 4):  # nothing moves in the second round
        local.assign(rand(4, 5, seed=seed) - .5)
        assert local.labels[[4, 40]].tolist() == [-1, -1]
        for k, row in enumerate(local.sums):
            members = local.labels == k
            expected = torch.cat([
                (weights[members, None] * points[members]).sum(0),
                weights[members].sum()[None],
                members.sum()[None]
            ])
            torch.testing.assert_close(row.float(), expected)


def test_half_precision_is_kept():
    """No points in full precision, but sums."""
    points = (100 * rand(5000, 3) + 100).half()
    local = LocalPoints(points, 1, None, None, None)
    local.assign(torch.ones(1, 3))
    assert local.points is points
    torch.testing.assert_close(local.sums[0, :3],
                               points.double().sum(0))  # above 65504
