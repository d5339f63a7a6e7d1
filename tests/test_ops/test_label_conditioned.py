import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlpcam.ops import balanced_smooth_loss, gated_maps


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_loss_by_hand():
    logits = randn(2, 4, 3, 5)
    target = torch.from_numpy(
        np.random.default_rng(0).choice([0, 0, 1, 2, 3, 255], (2, 3, 5)))
    sides = ([], [])
    for n in range(2):
        for y in range(3):
            for x in range(5):
                label = int(target[n, y, x])
                if label == 255:
                    continue
                smooth = torch.full((4, ), .3 / 3)
                smooth[label] = .7
                loss = -(smooth * F.log_softmax(logits[n, :, y, x], 0)).sum()
                sides[label > 0].append(loss)
    expected = sum(sum(side) / len(side) for side in sides) / 2
    torch.testing.assert_close(
        balanced_smooth_loss(logits, target, .3), expected)


@pytest.mark.parametrize('value', [0, 2])
def test_one_side_alone_counts_whole(value):
    logits = randn(1, 3, 2, 2)
    target = torch.full((1, 2, 2), value)
    target[0, 0, 0] = 255
    loss = balanced_smooth_loss(logits, target, 0.)
    torch.testing.assert_close(
        loss, F.cross_entropy(logits, target, ignore_index=255))


def test_nothing_to_learn_from():
    logits = randn(1, 3, 2, 2).requires_grad_()
    loss = balanced_smooth_loss(logits, torch.full((1, 2, 2), 255))
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_maps_by_hand():
    logits = [randn(4, 3, 4), randn(4, 2, 2, seed=1)]
    seed = torch.tensor([[0, 3, 255], [0, 0, 1]])
    maps = gated_maps(logits, (0, 2), seed, (4, 6))
    mean = sum(
        F.interpolate(scale[None], (4, 6), mode='bilinear')[0]
        for scale in logits) / 2
    probs = mean.softmax(0)[[0, 1, 3]]
    for plane, prob in zip(maps, probs):
        low, high = prob.min(), prob.max()
        for y in range(4):
            for x in range(6):
                expected = prob[y, x]
                if seed[y // 2, x // 2] != 0:
                    expected = (expected - low) / (high - low + 1e-5)
                torch.testing.assert_close(plane[y, x], expected)


def test_no_label():
    maps = gated_maps([randn(4, 2, 3)], (), torch.zeros(2, 2), (4, 6))
    assert maps.shape == (1, 4, 6)
