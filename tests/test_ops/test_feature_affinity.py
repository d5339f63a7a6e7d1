import pytest
import torch

from mmlpcam.ops import (affinity_labels, affinity_walk, affinity_walk_many,
                         feature_affinity, pair_offsets)
from mmlpcam.ops.dense_crf import DenseCRF


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('radius', [2, 3])
def test_affinity_by_hand(radius):
    feats = randn(2, 5, 6, 9)
    found = feature_affinity(feats, radius)
    offsets = pair_offsets(radius)
    height, width = 6 - radius + 1, 9 - 2 * radius + 2
    assert found.shape == (2, len(offsets), height, width)
    for p, (dy, dx) in enumerate(offsets):
        for y in range(height):
            for x in range(width):
                column = x + radius - 1
                distance = (feats[1, :, y, column] -
                            feats[1, :, y + dy, column + dx]).abs().mean()
                torch.testing.assert_close(found[1, p, y, x],
                                           (-distance).exp())


def dense_walk(maps, affinity, radius, beta, num_steps):
    """The official way: squares of a dense matrix."""
    n, height, width = maps.shape
    matrix = torch.eye(height * width, dtype=torch.float64)
    for p, (dy, dx) in enumerate(pair_offsets(radius)):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                one = y * width + x
                other = (y + dy) * width + x + dx
                weight = affinity[p, y, x - radius + 1].double()**beta
                matrix[one, other] = matrix[other, one] = weight
    matrix = matrix / matrix.sum(0, keepdim=True)
    while num_steps > 1:
        matrix, num_steps = matrix @ matrix, num_steps // 2
    return (maps.double().flatten(1) @ matrix).view_as(maps).float()


def test_walk_equals_the_dense_way():
    affinity = feature_affinity(randn(1, 4, 7, 10), 3)[0]
    maps = randn(2, 7, 10, seed=1).abs()
    found = affinity_walk(maps, affinity, radius=3, beta=8., num_steps=16)
    expected = dense_walk(maps, affinity, 3, 8., 16)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert (found - maps).abs().max() > .1


def test_images_walk_alone():
    affinity = feature_affinity(randn(3, 4, 7, 10), 3)
    maps = [randn(n, 7, 10, seed=n).abs() for n in (5, 0, 2)]
    together = affinity_walk_many(maps, affinity, radius=3)
    for number, each in enumerate(maps):
        alone = affinity_walk(each, affinity[number], radius=3)
        assert torch.equal(together[number], alone)


def test_a_constant_stays():
    affinity = feature_affinity(randn(1, 4, 7, 10), 3)[0]
    constant = torch.full((1, 7, 10), .39)
    torch.testing.assert_close(
        affinity_walk(constant, affinity, radius=3), constant)
    none = affinity_walk(torch.zeros(0, 7, 10), affinity, radius=3)
    assert none.shape == (0, 7, 10)


def test_sizes():
    with pytest.raises(ValueError, match=r'\(2, 5\) .*radius 3'):
        feature_affinity(randn(1, 4, 2, 5), 3)
    with pytest.raises(ValueError, match=r'\(1, 7, 9\) need .*\(12, 5, 5\)'):
        affinity_walk(
            torch.zeros(1, 7, 9),
            feature_affinity(randn(1, 4, 7, 10), 3)[0],
            radius=3)


def test_labels_by_hand():
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (12, 15, 3), generator=rng).byte().numpy()
    maps = torch.rand(2, 12, 15, generator=rng).numpy()
    maps[:, :, :5] *= .02  # certainly background
    crf = dict(backend='torch', num_iters=2)
    found, = affinity_labels([image], [maps], [(3, 1)],
                             alphas=(1, 12),
                             crf=crf)
    model = DenseCRF(image, **crf)
    masks = []
    for alpha in (1, 12):
        scores = model.refine_scores(
            torch.cat([
                (1 - torch.from_numpy(maps).amax(0, keepdim=True))**alpha,
                torch.from_numpy(maps)
            ]).numpy())
        masks.append(scores.argmax(0))
    for y in range(12):
        for x in range(15):
            low, high = masks[0][y, x], masks[1][y, x]
            expected = 0 if high == 0 else 255 if low == 0 else (0, 4, 2)[low]
            assert found[y, x] == expected
    assert {0, 255} <= set(found.flatten().tolist())
    empty, = affinity_labels([image], [maps[:0]], [()], crf=crf)
    assert not empty.any()
