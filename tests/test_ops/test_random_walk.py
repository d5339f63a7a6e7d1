import sys
import warnings

import numpy as np
import pytest
import torch

from mmlpcam.ops import random_walk, random_walk_many, transition_matrix

# The package holds a function of the same name.
MODULE = sys.modules['mmlpcam.ops.random_walk']


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def dense_affinity(edge, radius, beta):
    """Affinities of all pairs of cells, (N, N) in double."""
    edge = np.asarray(edge, np.float64)
    height, width = edge.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    affinity = np.eye(len(cells))
    for i, (y, x) in enumerate(cells):
        for j, (v, u) in enumerate(cells):
            dy, dx = v - y, u - x
            length = dy * dy + dx * dx
            if not 0 < length < radius * radius:
                continue
            wall = max(edge[b, a] for b in range(min(y, v),
                                                 max(y, v) + 1)
                       for a in range(min(x, u),
                                      max(x, u) + 1)
                       if (dy * (a - x) - dx * (b - y))**2 < length)
            affinity[i, j] = (1 - wall)**beta
    return affinity


def dense_walk(maps, edge, radius=5, beta=10., num_steps=256):
    """The official way: columns add up to 1, maps are rows."""
    affinity = dense_affinity(edge, radius, beta)
    np.testing.assert_array_equal(affinity, affinity.T)
    power = np.linalg.matrix_power(affinity / affinity.sum(0), num_steps)
    start = np.asarray(maps, np.float64) * (1 - np.asarray(edge, np.float64))
    return (start.reshape(len(maps), -1) @ power).reshape(maps.shape)


def dot(height, width, y, x):
    maps = torch.zeros(1, height, width)
    maps[0, y, x] = 1
    return maps


# --- the dense form -------------------------------------------------------


@pytest.mark.parametrize('options', [
    dict(),
    dict(num_steps=1),
    dict(radius=2),
    dict(radius=3, beta=4., num_steps=37),
    dict(beta=.5, num_steps=8),
])
@pytest.mark.parametrize('size', [(9, 11), (1, 7), (12, 3)])
def test_agrees_with_the_dense_form(size, options):
    maps, edge = rand(3, *size), rand(*size, seed=1)**2
    found = random_walk(maps, edge, **options)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(
        found, dense_walk(maps, edge, **options), rtol=1e-6, atol=0)


def test_one_cell():
    found = random_walk(torch.tensor([[[.5]]]), torch.tensor([[.25]]))
    assert found.tolist() == [[[.375]]]


def test_one_step_by_hand():
    """Each cell takes the mean of itself and its neighbours."""
    edge = torch.zeros(3, 3)
    found = random_walk(dot(3, 3, 1, 1), edge, radius=2, num_steps=1)
    expected = [[1 / 4, 1 / 6, 1 / 4], [1 / 6, 1 / 9, 1 / 6],
                [1 / 4, 1 / 6, 1 / 4]]
    torch.testing.assert_close(found[0], torch.tensor(expected))
    # the boundary at the right cell counts for all paths to it, with power
    edge[1, 2] = .5
    found = random_walk(dot(3, 3, 1, 1), edge, radius=2, beta=2, num_steps=1)
    # (1, 1) keeps 1 of 1 + 5 + 3/4; (1, 2) gets 1/4 of 1 + 5/4
    assert found[0, 1, 1].item() == pytest.approx(1 / 6.75)
    assert found[0, 1, 2].item() == pytest.approx(.25 / 2.25)
    # (0, 2) has two paths, and (1, 2) lies on that from the centre too
    assert found[0, 0, 2].item() == pytest.approx(.25 / 2.5)


def test_boundary_cells_start_lower():
    maps, edge = rand(2, 4, 5), rand(4, 5, seed=1)
    torch.testing.assert_close(
        random_walk(maps, edge, num_steps=0), maps * (1 - edge))


def test_half_precision():
    maps, edge = rand(2, 7, 8).half(), rand(7, 8, seed=1).half()
    found = random_walk(maps, edge)
    assert found.dtype == torch.float32
    assert torch.equal(found, random_walk(maps.double(), edge.double()))


def test_inputs_are_left_alone():
    maps, edge = rand(2, 6, 7), rand(6, 7, seed=1)
    before = maps.clone(), edge.clone()
    random_walk(maps, edge)
    assert torch.equal(maps, before[0]) and torch.equal(edge, before[1])


def test_nothing_is_warned_of():
    """PyTorch says some things once per process only."""
    once = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            random_walk(rand(1, 5, 6), rand(5, 6), num_steps=1)
    finally:
        torch.set_warn_always(once)


# --- invariants -----------------------------------------------------------


def test_weighted_mass_is_kept():
    """Each cell counts as much as it has neighbours."""
    maps, edge = rand(2, 8, 9), rand(8, 9, seed=1)**2
    degree = dense_affinity(edge, 5, 10.).sum(0).reshape(8, 9)
    start = (maps * (1 - edge)).numpy()
    for steps in (1, 16, 256):
        found = random_walk(maps, edge, num_steps=steps).numpy()
        np.testing.assert_allclose(
            (degree * found).sum((1, 2)), (degree * start).sum((1, 2)),
            rtol=1e-6)
        assert found.min() >= start.min() and found.max() <= start.max()


def test_without_boundaries_all_cells_become_equal():
    maps = rand(2, 9, 10)
    edge = torch.zeros(9, 10)
    spreads = []
    for steps in (0, 1, 4, 16, 256):
        found = random_walk(maps, edge, num_steps=steps)
        spreads.append((found.amax((1, 2)) - found.amin((1, 2))).max().item())
    assert spreads == sorted(spreads, reverse=True) and spreads[-1] < 1e-5
    degree = dense_affinity(edge, 5, 10.).sum(0).reshape(9, 10)
    mean = (degree * maps.numpy()).sum((1, 2)) / degree.sum()
    np.testing.assert_allclose(found.mean((1, 2)), mean, rtol=1e-5)


@pytest.mark.parametrize('ring', ['square', 'diamond'])
@pytest.mark.parametrize('radius', [2, 5])
def test_a_closed_wall_holds(ring, radius):
    rows, columns = np.indices((15, 16))
    distance = np.stack([abs(rows - 7), abs(columns - 7)])
    # the diamond touches by corners only
    distance = distance.max(0) if ring == 'square' else distance.sum(0)
    edge = torch.from_numpy((distance == 4).astype(np.float32))
    inside = torch.from_numpy(distance < 4)
    found = random_walk(dot(15, 16, 7, 7), edge, radius=radius)[0]
    assert not found[~inside].any() and (found[inside] > 0).all()
    degree = dense_affinity(edge, radius, 10.).sum(0).reshape(15, 16)
    level = degree[7, 7] / degree[inside].sum()
    np.testing.assert_allclose(found[inside], level, rtol=1e-4)
    # and from outside nothing comes in
    outside = random_walk(dot(15, 16, 0, 0), edge, radius=radius)[0]
    assert not outside[distance <= 4].any() and (outside[distance > 4]
                                                 > 0).any()


def test_nothing_leaves_the_image():
    """The right end of a row is no neighbour of the left end of the next."""
    edge = torch.zeros(6, 9)
    edge[:, 4] = 1
    for x in (0, 3):
        assert not random_walk(dot(6, 9, 3, x), edge)[0, :, 4:].any()
    for x in (5, 8):
        assert not random_walk(dot(6, 9, 3, x), edge)[0, :, :5].any()
    top = torch.zeros(9, 6)
    top[4] = 1
    assert not random_walk(dot(9, 6, 0, 5), top)[0, 4:].any()
    assert not random_walk(dot(9, 6, 8, 0), top)[0, :5].any()
    # what does not leave is still there: a level map stays level
    level = random_walk(torch.ones(1, 6, 9), torch.zeros(6, 9))
    torch.testing.assert_close(level, torch.ones(1, 6, 9))


def test_classes_walk_alone():
    maps, edge = rand(6, 10, 9), rand(10, 9, seed=1)**2
    together = random_walk(maps, edge)
    for number in range(6):
        alone = random_walk(maps[number:number + 1], edge)[0]
        assert torch.equal(together[number], alone)
    swapped = random_walk(maps.flip(0), edge).flip(0)
    assert torch.equal(swapped, together)


@pytest.mark.parametrize('options', [
    dict(),
    dict(average=True),
    dict(radius=3, beta=4., num_steps=37),
])
@pytest.mark.parametrize('size', [(9, 11), (7, 3)])
def test_images_walk_alone(size, options, monkeypatch):
    edges = rand(4, *size, seed=1)**2
    maps = [rand(n, *size, seed=n) for n in (2, 0, 5, 1)]
    together = random_walk_many(maps, edges, **options)
    monkeypatch.setattr(MODULE, '_MAX_CELLS_CPU', 3 * edges[0].numel())
    in_parts = random_walk_many(maps, edges, **options)
    for number, each in enumerate(maps):
        alone = random_walk(each, edges[number], **options)
        assert torch.equal(together[number], alone)
        assert torch.equal(in_parts[number], alone)


def test_no_class():
    found = random_walk(torch.zeros(0, 7, 8), rand(7, 8))
    assert found.shape == (0, 7, 8) and found.dtype == torch.float32


@pytest.mark.parametrize('dims', [(1, ), (2, ), (1, 2)])
def test_mirror_images(dims):
    maps, edge = rand(2, 9, 8), rand(9, 8, seed=1)**2
    mirrored = random_walk(
        maps.flip(dims), edge.flip([dim - 1 for dim in dims])).flip(dims)
    torch.testing.assert_close(
        mirrored, random_walk(maps, edge), rtol=1e-6, atol=1e-12)


def test_transposed_image():
    maps, edge = rand(2, 9, 8), rand(9, 8, seed=1)**2
    turned = random_walk(maps.mT, edge.mT).mT
    torch.testing.assert_close(
        turned, random_walk(maps, edge), rtol=1e-6, atol=1e-12)


# --- settings -------------------------------------------------------------


def test_radius_is_the_length_of_a_step():
    rows, columns = np.indices((11, 13))
    away = np.hypot(rows - 5, columns - 6)
    for radius in (2, 3, 5):
        found = random_walk(
            dot(11, 13, 5, 6), torch.zeros(11, 13), radius=radius,
            num_steps=1)[0]
        np.testing.assert_array_equal(found > 0, away < radius)


def test_steps_add_up():
    maps, edge = rand(2, 8, 9), rand(8, 9, seed=1)**2
    first = random_walk(maps, edge, num_steps=5)
    both = random_walk(first / (1 - edge), edge, num_steps=7)
    torch.testing.assert_close(
        both, random_walk(maps, edge, num_steps=12), rtol=1e-5, atol=1e-12)


def test_average_is_that_of_the_cells_that_are_reached():
    """Weights are what walks here from each cell, times 1 - B."""
    maps, edge = rand(2, 5, 7), rand(5, 7, seed=1)
    found = random_walk(maps, edge, num_steps=3, average=True)
    each = torch.eye(35).view(35, 5, 7)
    weights = random_walk(each, edge, num_steps=3).flatten(1)
    expected = (maps.flatten(1) @ (weights / weights.sum(0))).view(2, 5, 7)
    torch.testing.assert_close(found, expected)
    flat = random_walk(
        torch.full((1, 5, 7), .4), edge, num_steps=9, average=True)
    torch.testing.assert_close(flat, torch.full((1, 5, 7), .4))
    # behind walls that nothing leaves or enters there is nothing to average
    shut = random_walk(maps, torch.ones(5, 7), average=True)
    assert not shut.any()


@pytest.mark.parametrize('beta', [0., -1.])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match='`beta` must be positive'):
        random_walk(rand(1, 5, 6), rand(5, 6), beta=beta)


def test_beta_holds_weak_boundaries():
    """The higher the power, the less crosses a boundary of one half."""
    edge = torch.zeros(5, 9)
    edge[:, 4] = .5
    crossed = [
        random_walk(dot(5, 9, 2, 1), edge, beta=beta,
                    num_steps=8)[0, :, 5:].sum().item()
        for beta in (1., 4., 10., 40.)
    ]
    assert crossed == sorted(crossed, reverse=True)
    assert crossed[3] < 1e-9 < crossed[2] < crossed[0] / 10


# --- the matrix -----------------------------------------------------------


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_matrix_agrees_with_the_dense_form(dtype):
    edge = rand(8, 9).to(dtype)**2
    matrix = transition_matrix(edge, radius=5, beta=10.)
    assert matrix.layout == torch.sparse_csr and matrix.dtype == dtype
    affinity = dense_affinity(edge, 5, 10.)
    np.testing.assert_allclose(
        matrix.to_dense(),
        affinity / affinity.sum(1, keepdims=True),
        rtol=1e-5 if dtype == torch.float32 else 1e-12)


def test_rows_add_up_to_one():
    edge = rand(13, 17, seed=2).double()
    edge[3] = 1
    edge[8, 8] = 0
    matrix = transition_matrix(edge, radius=5, beta=10.)
    dense = matrix.to_dense()
    torch.testing.assert_close(
        dense.sum(1), torch.ones(221).double(), rtol=1e-12, atol=0)
    assert dense.min() >= 0
    # a cell inside a boundary keeps to itself
    for cell in range(3 * 17, 4 * 17):
        assert dense[cell, cell] == 1
    assert matrix.values().numel() <= 69 * 221


def test_walls_take_no_memory():
    edge = torch.ones(6, 7).double()
    assert transition_matrix(edge, radius=5, beta=10.).values().numel() == 42


def test_work_is_a_hundredth_of_the_dense_form(monkeypatch):
    """VOC image, two classes: 8 squarings of the dense (N, N) matrix."""
    done = []

    class Counting:

        def __init__(self, matrix):
            self.entries = matrix.values().numel()

        def __matmul__(self, walker):
            done.append(self.entries * walker.shape[1])
            return walker

    build = MODULE.transition_of_pairs
    monkeypatch.setattr(
        MODULE, 'transition_of_pairs',
        lambda *args, **kwargs: Counting(build(*args, **kwargs)))
    random_walk(rand(2, 94, 125), rand(94, 125, seed=1))
    assert len(done) == 256
    cells = 94 * 125
    # two more columns, see random_walk.py
    assert sum(done) <= 69 * cells * 4 * 256
    assert sum(done) * 100 < 8 * cells**3


# --- errors ---------------------------------------------------------------


@pytest.mark.parametrize('maps, edge', [
    ((2, 4, 5), (5, 4)),
    ((2, 4, 5), (1, 4, 5)),
    ((4, 5), (4, 5)),
    ((1, 2, 4, 5), (4, 5)),
])
def test_other_grids_are_refused(maps, edge):
    with pytest.raises(ValueError, match='on one grid, but got') as error:
        random_walk(torch.zeros(maps), torch.zeros(edge))
    assert str(maps) in str(error.value) and str(edge) in str(error.value)


def test_radius_without_neighbors():
    with pytest.raises(ValueError, match='`radius` must be at least 2'):
        random_walk(torch.zeros(1, 4, 5), torch.zeros(4, 5), radius=1)
