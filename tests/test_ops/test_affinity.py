import math
from fractions import Fraction

import pytest
import torch

from mmlpcam.ops import (PairKinds, affinity_loss, masked_mean, pair_affinity,
                         pair_kinds, pair_offsets, path_cells,
                         source_and_neighbors)


def rand(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=dtype)


def naive_path(dy, dx):
    """Cells of the rectangle that are nearer than 1 to their projection."""
    cells = []
    for y in range(min(dy, 0), max(dy, 0) + 1):
        for x in range(min(dx, 0), max(dx, 0) + 1):
            along = Fraction(y * dy + x * dx, dy * dy + dx * dx)
            away = (y - along * dy)**2 + (x - along * dx)**2
            if away < 1:
                cells.append((y, x))
    return cells


def naive_offsets(radius):
    return [(dy, dx) for dy in range(-radius, radius + 1)
            for dx in range(-radius, radius + 1)
            if math.hypot(dy, dx) < radius and (dy > 0 or dy == 0 and dx > 0)]


def naive_affinity(edge, radius):
    """Loops over images, offsets and sources."""
    num, height, width = edge.shape
    rows = range(height - radius + 1)
    columns = range(radius - 1, width - radius + 1)
    return torch.tensor([[[[
        1 - max(edge[n, y + cy, x + cx].item()
                for cy, cx in naive_path(dy, dx)) for x in columns
    ] for y in rows] for dy, dx in naive_offsets(radius)] for n in range(num)],
                        dtype=edge.dtype)


# --- geometry -------------------------------------------------------------


@pytest.mark.parametrize('radius, number', [(2, 4), (5, 34), (10, 152)])
def test_offsets(radius, number):
    offsets = pair_offsets(radius)
    assert len(offsets) == number
    assert list(offsets) == sorted(naive_offsets(radius))
    # a pair has no direction: no offset is there both ways
    assert not set(offsets) & {(-dy, -dx) for dy, dx in offsets}


@pytest.mark.parametrize('radius', [-3, 0, 1])
def test_radius_without_neighbors(radius):
    with pytest.raises(
            ValueError, match=f'`radius` must be at least 2, but is {radius}'):
        pair_offsets(radius)


def test_path_lengths_of_irn():
    lengths = [len(path_cells(*offset)) for offset in pair_offsets(10)]
    assert min(lengths) == 2 and max(lengths) == 22
    assert sum(lengths) == 2134


def test_paths_follow_the_line():
    for offset in [*pair_offsets(10), (0, -3), (-2, -5), (-4, 3)]:
        path = path_cells(*offset)
        assert list(path) == naive_path(*offset)
        assert {(0, 0), offset} <= set(path)


def test_paths_by_hand():
    assert path_cells(0, 2) == ((0, 0), (0, 1), (0, 2))
    assert path_cells(1, -1) == ((0, -1), (0, 0), (1, -1), (1, 0))
    assert set(path_cells(2, 2)) == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2),
                                     (2, 1), (2, 2)}
    # (1, 3) and (2, 1) lie at a distance of exactly 1
    assert not {(1, 3), (2, 1)} & set(path_cells(3, 4))


# --- affinity -------------------------------------------------------------

# Row 0 holds the sources (0, 2), (0, 3) and (0, 4); the wall is (1, 3) of
# height .8 and (1, 4) of height .5.
WALL = {
    (0, 1): (1., 1., 1.),
    (0, 2): (1., 1., 1.),
    (1, -2): (1., .2, .2),
    (1, -1): (1., .2, .2),
    (1, 0): (1., .2, .5),
    (1, 1): (.2, .2, .5),
    (1, 2): (.2, .2, .5),
    (2, -2): (1., .2, .2),
    (2, -1): (1., .2, .2),
    (2, 0): (1., .2, .5),
    (2, 1): (.2, .2, .5),
    (2, 2): (.2, .2, .5),
}


def test_wall_of_two_pixels():
    edge = torch.zeros(1, 3, 7)
    edge[0, 1, 3], edge[0, 1, 4] = .8, .5
    found = pair_affinity(edge, 3)
    assert found.shape == (1, 12, 1, 3)
    for offset, values in zip(pair_offsets(3), found[0, :, 0]):
        torch.testing.assert_close(values, torch.tensor(WALL[offset]))


def test_closed_wall_separates():
    """Pairs across a column of boundary have no affinity, others full."""
    edge = torch.zeros(1, 12, 20)
    edge[0, :, 11] = 1
    found = pair_affinity(edge, 5)[0]
    for (_, dx), values in zip(pair_offsets(5), found):
        for x in range(values.shape[1]):
            first, last = sorted((x + 4, x + 4 + dx))
            assert (values[:, x] == float(not first <= 11 <= last)).all()


@pytest.mark.parametrize('radius, size', [(2, (4, 5)), (3, (5, 8)),
                                          (5, (7, 12)), (10, (11, 20))])
def test_agrees_with_a_loop(radius, size):
    edge = rand(2, *size)
    found = pair_affinity(edge, radius)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, naive_affinity(edge, radius), rtol=0, atol=1e-7)


def test_smallest_grid():
    edge = rand(1, 10, 19)
    found = pair_affinity(edge, 10)
    assert found.shape == (1, 152, 1, 1)
    torch.testing.assert_close(found, naive_affinity(edge, 10))


@pytest.mark.parametrize('size', [(9, 19), (10, 18), (1, 1)])
def test_too_small_a_grid(size):
    with pytest.raises(
            ValueError,
            match=rf'a grid of \({size[0]}, {size[1]}\) cells .* radius 10'):
        pair_affinity(torch.zeros(1, *size), 10)


def test_views_and_inputs_are_left_alone():
    edge = rand(2, 8, 9).transpose(1, 2)
    before = edge.clone()
    found = pair_affinity(edge, 3)
    assert torch.equal(found, pair_affinity(edge.contiguous(), 3))
    assert torch.equal(edge, before)


# --- gradient -------------------------------------------------------------


@pytest.mark.parametrize('radius, size', [(2, (3, 4)), (3, (4, 7)),
                                          (4, (5, 8))])
def test_gradient_is_numerically_right(radius, size):
    # steps of 1e-6 do not change which cell is highest
    num = 2 * size[0] * size[1]
    order = torch.randperm(num, generator=torch.Generator().manual_seed(0))
    edge = ((order.double() + 1) / (num + 1)).view(2, *size)
    assert torch.autograd.gradcheck(lambda e: pair_affinity(e, radius),
                                    edge.requires_grad_())


def test_gradient_equals_that_of_stacked_paths():
    edge = rand(2, 8, 13).requires_grad_()
    found = pair_affinity(edge, 4)
    weight = rand(*found.shape, seed=1)
    ours, = torch.autograd.grad((found * weight).sum(), edge)
    height, width = found.shape[2:]
    plain = torch.stack([
        1 - torch.stack([
            edge[:, y:y + height, x + 3:x + 3 + width]
            for y, x in naive_path(*offset)
        ]).amax(0) for offset in pair_offsets(4)
    ], 1)
    theirs, = torch.autograd.grad((plain * weight).sum(), edge)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('value', [0., .5, 1.])
def test_ties_give_the_gradient_to_one_cell(value):
    edge = torch.full((1, 5, 9), value, requires_grad=True)
    found = pair_affinity(edge, 5)
    assert found.shape == (1, 34, 1, 1)
    for number, offset in enumerate(pair_offsets(5)):
        grad, = torch.autograd.grad(
            found[0, number].sum(), edge, retain_graph=True)
        (y, x), = grad[0].nonzero().tolist()
        assert grad[0, y, x] == -1
        assert (y, x - 4) in path_cells(*offset)


def test_partial_ties():
    """Two of the cells of a path are highest; one of them is moved."""
    edge = torch.zeros(1, 3, 5)
    edge[0, 0, 3] = edge[0, 1, 2] = .7
    edge.requires_grad_()
    found = pair_affinity(edge, 3)
    number = pair_offsets(3).index((1, 1))
    grad, = torch.autograd.grad(found[0, number].sum(), edge)
    assert grad.abs().sum() == 1 and grad.sum() == -1
    assert grad[0, 0, 3] + grad[0, 1, 2] == -1


# --- kinds of pairs -------------------------------------------------------


def test_source_and_neighbors():
    plane = torch.arange(2 * 4 * 6).view(1, 2, 4, 6)
    source, other = source_and_neighbors(plane, 3)
    assert source.shape == (1, 2, 1, 2, 2) and other.shape == (1, 2, 12, 2, 2)
    for number, (dy, dx) in enumerate(pair_offsets(3)):
        for y in range(2):
            for x in range(2):
                assert torch.equal(source[0, :, 0, y, x], plane[0, :, y,
                                                                x + 2])
                assert torch.equal(other[0, :, number, y, x],
                                   plane[0, :, y + dy, x + 2 + dx])


# the source is the cell in the middle of the first row; the neighbours are
# those at (0, 1), (1, -1), (1, 0), (1, 1)
KINDS = [
    # all of the background but one
    (0, (0, 0, 2, 0), 'bb-b'),
    # a class, another one, the background, not trusted
    (2, (2, 1, 0, 255), 'f-- '),
    # untrusted source
    (255, (255, 0, 1, 255), '    '),
    # the first value that is no class
    (1, (3, 2, 1, 4), ' -f '),
    (3, (3, 3, 0, 1), '    '),
]


@pytest.mark.parametrize('source, others, expected', KINDS)
def test_kinds_by_hand(source, others, expected):
    labels = torch.tensor([[[9, source, others[0]], others[1:]]])
    kinds = pair_kinds(labels, 2, 3)
    for mask, letter in zip(kinds, 'bf-'):
        assert mask.dtype == torch.bool and mask.shape == (1, 4, 1, 1)
        assert mask.flatten().tolist() == [item == letter for item in expected]


def test_kinds_agree_with_a_loop():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (2, 7, 12), generator=generator)
    labels[labels == 4] = 255
    kinds = pair_kinds(labels, 4, 4)
    for n in range(2):
        for number, (dy, dx) in enumerate(pair_offsets(4)):
            for y in range(4):
                for x in range(6):
                    a = labels[n, y, x + 3].item()
                    b = labels[n, y + dy, x + 3 + dx].item()
                    ok = 255 not in (a, b)
                    assert [m[n, number, y, x].item() for m in kinds] == [
                        ok and a == b == 0, ok and a == b > 0, ok and a != b
                    ]
    assert all(mask.any() for mask in kinds)


# --- loss -----------------------------------------------------------------


def masks(text):
    """Letters b, f, - (or none) for each pair."""
    return PairKinds(*(torch.tensor([item == letter for item in text])
                       for letter in 'bf-'))


def test_loss_by_hand():
    """Weights 1/4, 1/4, 1/2; each kind is a mean over its pairs."""
    affinity = torch.tensor([.5, .25, .8, .9, .1, .3])
    losses = affinity_loss(affinity, masks('bbf-- '))
    expected = dict(
        loss_bg_pos=-(math.log(.5) + math.log(.25)) / 2 / 4,
        loss_fg_pos=-math.log(.8) / 4,
        loss_neg=-(math.log(.1) + math.log(.9)) / 2 / 2)
    assert list(losses) == list(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-4)


def test_pairs_without_kind_do_not_count():
    affinity = torch.tensor([.5, .25, .8])
    one, other = (
        affinity_loss(
            torch.cat([affinity, torch.tensor([value])]), masks('bf- '))
        for value in (0., 1.))
    assert one == other


@pytest.mark.parametrize('text, empty', [('ff--', 'loss_bg_pos'),
                                         ('bb--', 'loss_fg_pos'),
                                         ('bbff', 'loss_neg')])
def test_no_pair_of_a_kind(text, empty):
    affinity = torch.tensor([0., 1., .5, .2], requires_grad=True)
    losses = affinity_loss(affinity, masks(text))
    for name, value in losses.items():
        assert value.isfinite() and (value == 0) == (name == empty)
    grad, = torch.autograd.grad(losses[empty], affinity, retain_graph=True)
    assert not grad.any()
    sum(losses.values()).backward()
    assert affinity.grad.isfinite().all()


def test_no_pair_at_all():
    affinity = rand(1, 4, 2, 2).requires_grad_()
    labels = torch.full((1, 3, 4), 255)
    losses = affinity_loss(affinity, pair_kinds(labels, 2, 21))
    assert [value.item() for value in losses.values()] == [0, 0, 0]
    sum(losses.values()).backward()
    assert not affinity.grad.any()


def test_extreme_affinities_are_finite():
    affinity = torch.tensor([0., 0., 1.], requires_grad=True)
    losses = affinity_loss(affinity, masks('bf-'))
    total = sum(losses.values())
    # each is -log(1e-5), and the weights add up to 1
    assert total.item() == pytest.approx(5 * math.log(10), rel=1e-3)
    total.backward()
    assert affinity.grad.isfinite().all()
    assert (affinity.grad.sign() == torch.tensor([-1., -1., 1.])).all()


def test_means_are_over_the_batch():
    """Not means of means: an image with more pairs counts more."""
    affinity = torch.tensor([[.5, .5, .5], [.9, .9, .9]])
    kinds = PairKinds(*(torch.tensor(mask) for mask in (
        [[True, True, True], [True, False, False]],
        [[False] * 3] * 2,
        [[False] * 3] * 2,
    )))
    found = affinity_loss(affinity, kinds)['loss_bg_pos']
    expected = -(3 * math.log(.5) + math.log(.9)) / 4 / 4
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_masked_mean():
    values = torch.tensor([1., 2., 30.])
    mean = masked_mean(values, torch.tensor([True, True, False]))
    assert mean.item() == pytest.approx(1.5, rel=1e-4)
    assert masked_mean(values, torch.zeros(3, dtype=torch.bool)) == 0


def test_training_opens_and_closes_boundaries():
    """Descent finds the border of two regions, from flat logits."""
    labels = torch.zeros(1, 12, 20, dtype=torch.int64)
    labels[..., 10:] = 1
    logits = torch.zeros(1, 12, 20, requires_grad=True)
    kinds = pair_kinds(labels, 5, 2)
    optimizer = torch.optim.SGD([logits], lr=40.)
    for _ in range(60):
        losses = affinity_loss(pair_affinity(logits.sigmoid(), 5), kinds)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    edge = logits.detach().sigmoid()[0, :8]
    assert (edge[:, 9:11].amax(1) > .6).all()
    assert edge[:, 4:8].max() < .4 and edge[:, 12:16].max() < .4
