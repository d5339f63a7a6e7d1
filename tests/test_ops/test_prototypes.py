import numpy as np
import pytest
import torch

from mmlpcam.ops import (prototype_direction, prototype_scores,
                         select_class_prototypes, select_context_prototypes,
                         split_features)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- split_features -------------------------------------------------------


def test_equality_is_in_neither_set():
    cam = torch.tensor([[0.25, 0.2, 0.3], [1., 0.25, 0.]])
    fg, bg = split_features(torch.zeros(4, 2, 3), cam, 0.25)
    assert fg.tolist() == [2, 3]
    assert bg.tolist() == [1, 5]


@pytest.mark.parametrize('size, cells', [((4, 6), (2, 3)), ((7, 9), (3, 2)),
                                         ((33, 50), (3, 4)), ((5, 5), (1, 1)),
                                         ((2, 2), (4, 6))])
def test_nearest_rule_is_the_floor(size, cells):
    cam = torch.rand(*size, generator=torch.Generator().manual_seed(0))
    fg, bg = split_features(torch.zeros(1, *cells), cam, 0.5)
    picked = np.array([[
        float(cam[y * size[0] // cells[0], x * size[1] // cells[1]])
        for x in range(cells[1])
    ] for y in range(cells[0])]).ravel()
    assert fg.tolist() == np.flatnonzero(picked > .5).tolist()
    assert bg.tolist() == np.flatnonzero(picked < .5).tolist()
    assert len(fg) + len(bg) == cells[0] * cells[1]


@pytest.mark.parametrize('value, fg, bg', [(0., [], [0, 1]), (1., [0, 1], [])])
def test_one_sided_split(value, fg, bg):
    split = split_features(
        torch.zeros(3, 1, 2), torch.full((16, 32), value), 0.1)
    assert [side.tolist() for side in split] == [fg, bg]


def kept_for_class(points, weight, label, mu_f):
    return select_class_prototypes(
        prototype_scores(points, weight)[:, label], mu_f)


def kept_for_context(points, weight, label, mu_b, mu_b_low=0.):
    return select_context_prototypes(
        prototype_scores(points, weight)[:, label], mu_b, mu_b_low)


# --- prototype_scores -----------------------------------------------------


def test_scores_by_hand():
    centers = torch.tensor([[1., 0.], [0., np.log(3.)]])
    weight = torch.tensor([[np.log(4.), 0.], [0., 1.]]).float()
    torch.testing.assert_close(
        prototype_scores(centers.float(), weight),
        torch.tensor([[.8, .2], [.25, .75]]))


def test_scores_use_the_raw_length():
    centers, weight = randn(4, 3), randn(5, 3, seed=1)
    scores = prototype_scores(centers, weight)
    torch.testing.assert_close(scores.sum(1), torch.ones(4))
    longer = prototype_scores(10 * centers, weight)
    assert (longer.amax(1) > scores.amax(1)).all()


# --- selection ------------------------------------------------------------

# With weight = identity, a centre [a, 0] scores sigmoid(a) for class 0.
LOGITS = [4., 1., 0., -1., -4.]
SCORES = [1 / (1 + np.exp(-a)) for a in LOGITS]  # .982 .731 .5 .269 .018


def centers():
    return torch.tensor([[a, 0.] for a in LOGITS])


@pytest.mark.parametrize('mu_f, expected', [
    (0.9, [1, 0, 0, 0, 0]),
    (0.7, [1, 1, 0, 0, 0]),
    (0.5, [1, 1, 0, 0, 0]),
    (0.0, [1, 1, 1, 1, 1]),
])
def test_class_prototypes(mu_f, expected):
    keep = kept_for_class(centers(), torch.eye(2), 0, mu_f)
    assert keep.tolist() == list(map(bool, expected))


def test_equality_does_not_pass():
    """Four equal weights give 0.25 exactly."""
    points = randn(2, 3)
    weight = torch.zeros(4, 3)
    assert kept_for_class(points, weight, 1, .25).all()  # fallback
    assert not kept_for_context(points, weight, 1, .25).any()
    assert not kept_for_context(points, weight, 1, .5, .25).any()
    assert kept_for_context(points, weight, 1, .2501, .2499).all()


def test_fallback_keeps_the_best():
    keep = kept_for_class(centers(), torch.eye(2), 0, 0.99)
    assert keep.tolist() == [True, False, False, False, False]
    keep = kept_for_class(centers(), torch.eye(2), 1, 0.99)
    assert keep.tolist() == [False, False, False, False, True]


def test_fallback_keeps_ties_within_the_margin():
    points = torch.tensor([[1., 0.], [1. + 1e-6, 0.], [0.99, 0.]])
    keep = kept_for_class(points, torch.eye(2), 0, 0.99)
    assert keep.tolist() == [True, True, False]


@pytest.mark.parametrize('mu_b, low, expected', [
    (0.9, 0., [0, 1, 1, 1, 1]),
    (0.9, 0.05, [0, 1, 1, 1, 0]),
    (0.5, 0., [0, 0, 0, 1, 1]),
    (0.01, 0., [0, 0, 0, 0, 0]),
])
def test_context_prototypes(mu_b, low, expected):
    keep = kept_for_context(centers(), torch.eye(2), 0, mu_b, low)
    assert keep.tolist() == list(map(bool, expected))


def test_score_zero_is_no_context():
    """The lower bound is strict, so an underflow to 0 is dropped."""
    points = torch.tensor([[-500., 0.], [0., 0.]])
    keep = kept_for_context(points, torch.eye(2), 0, 0.9)
    assert keep.tolist() == [False, True]


def test_selection_equals_a_loop():
    points, weight = 2 * randn(30, 6), randn(5, 6, seed=1)
    for label in range(5):
        z = np.array([
            np.exp(weight[label] @ p) / sum(np.exp(w @ p) for w in weight)
            for p in points
        ])
        assert (z > .6).any() and ((z > .05) & (z < .6)).any()
        assert kept_for_class(points, weight, label,
                              .6).tolist() == (z > .6).tolist()
        assert kept_for_context(points, weight, label, .6,
                                .05).tolist() == ((z > .05) &
                                                  (z < .6)).tolist()


def test_no_center():
    none = torch.zeros(0, 6)
    weight = randn(5, 6)
    assert kept_for_class(none, weight, 0, .9).shape == (0, )
    assert kept_for_context(none, weight, 0, .9).shape == (0, )


# --- prototype_direction --------------------------------------------------


def test_direction_by_hand():
    fg = torch.tensor([[3., 4.], [0., 2.]])
    bg = torch.tensor([[5., 0.]])
    torch.testing.assert_close(
        prototype_direction(fg, bg), torch.tensor([.3 - 1, .9]))
    torch.testing.assert_close(
        prototype_direction(fg, bg[:0]), torch.tensor([.3, .9]))
    torch.testing.assert_close(
        prototype_direction(fg[:0], bg), torch.tensor([-1., 0.]))
    assert torch.equal(prototype_direction(fg[:0], bg[:0]), torch.zeros(2))


def test_direction_ignores_length_and_order():
    fg, bg = randn(4, 6), randn(3, 6, seed=1)
    direction = prototype_direction(fg, bg)
    torch.testing.assert_close(
        prototype_direction(
            fg.flip(0) * torch.tensor([[1.], [9.], [.1], [2.]]), 3 * bg),
        direction)
