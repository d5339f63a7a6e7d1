import sys

import numpy as np
import pytest
import torch

from mmlpcam import ops
from mmlpcam.ops import DenseCRF, otsu_thresholds

# The package holds a function of the same name.
MODULE = sys.modules['mmlpcam.ops.confident_labels']
# Without pairwise potentials, the CRF leaves labels as they are.
NO_CRF = dict(gaussian_compat=0, bilateral_compat=0)


def confident_labels(image, maps, labels, **kwargs):
    """Label a single image."""
    return ops.confident_labels([image], [maps], [labels], **kwargs)[0]


def label(maps, labels, *, fg_thr=.5, bg_thr=.2, **kwargs):
    """Label without a CRF; maps are lists of rows."""
    maps = np.asarray(maps, np.float32)
    image = np.zeros((*maps.shape[1:], 3), np.uint8)
    return confident_labels(
        image,
        maps,
        labels,
        fg_thr=fg_thr,
        bg_thr=bg_thr,
        **{
            'crf': NO_CRF,
            **kwargs
        })


def photo(seed=0):
    """Two areas, and maps that spill over the border between them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 6, (24, 30, 3)).astype(np.uint8)
    image[:, 15:] += np.array([200, 90, 10], np.uint8)
    columns = np.arange(30)
    one = np.tile(np.clip(1 - (columns - 5) / 16, 0, 1), (24, 1))
    two = np.tile(np.clip((columns - 16) / 8, 0, 1), (24, 1))
    maps = np.stack([one, two])
    maps += rng.normal(0, .12, maps.shape)
    return image, maps.clip(0, 1).astype(np.float32)


# --- the truth table ------------------------------------------------------


def test_truth_table():
    """(F, B) = (0, 0) -> 0, (0, c) -> 255, (c, any) -> c."""
    #        F, B: 0, 0; 0, 4; 4, 4; 0, 2; 2, 2; 2, 2
    found = label([[[.1, .3, .9, .1, .2, .6]], [[.0, .1, .3, .3, .7, .8]]],
                  [3, 1])
    assert found.tolist() == [[0, 255, 4, 255, 2, 2]]
    assert found.dtype == np.uint8


@pytest.mark.parametrize('conservative', [0, 1, 2])
@pytest.mark.parametrize('permissive', [0, 1, 2])
def test_every_pair_of_masks(monkeypatch, conservative, permissive):
    """A CRF may turn the two masks into anything."""
    answers = np.eye(3)[[conservative, permissive]][..., None, None]

    def refine(crfs, unaries):
        assert [unary.shape for unary in unaries] == [answers.shape]
        return [answers]

    monkeypatch.setattr(MODULE, 'infer_many', refine)
    found = label(np.zeros((2, 1, 1)), [7, 4], crf=None)
    ids = [0, 8, 5]
    if conservative:
        expected = ids[conservative]
    else:
        expected = 255 if permissive else 0
    assert found.tolist() == [[expected]]


def test_agrees_with_a_loop():
    rng = np.random.default_rng(0)
    maps = rng.random((3, 13, 9)).astype(np.float32)**2
    labels = [5, 0, 11]
    found = label(maps, labels, fg_thr=.45, bg_thr=.25)
    for y in range(13):
        for x in range(9):
            best = max(range(3), key=lambda i: maps[i, y, x])
            value = maps[best, y, x]
            if value > np.float32(.45):
                expected = labels[best] + 1
            else:
                expected = 255 if value > np.float32(.25) else 0
            assert found[y, x] == expected
    assert set(np.unique(found)) == {0, 1, 6, 12, 255}


def test_order_of_classes_plays_no_part():
    _, maps = photo()
    one = label(maps, [3, 1])
    assert np.array_equal(one, label(maps[::-1], [1, 3]))
    assert set(np.unique(one)) == {0, 2, 4, 255}


def test_last_class_of_a_large_data_set():
    assert label([[[.9]]], [253]).tolist() == [[254]]


# --- thresholds and ties --------------------------------------------------


def test_ties_go_to_the_background_then_to_the_first_map():
    #                fg_thr          bg_thr         two maps alike
    found = label(
        [[[.5, .5001], [.2, .2001], [.9, .3]], [[.5, .4], [.1, .2], [.9, .3]]],
        [6, 2])
    assert found.tolist() == [[255, 7], [0, 255], [7, 255]]


@pytest.mark.parametrize('threshold', [.05, .3, .45, .7])
def test_equal_thresholds_leave_nothing_open(threshold):
    _, maps = photo()
    maps[0, 0, :5] = np.float32(threshold)
    found = label(maps, [0, 1], fg_thr=threshold, bg_thr=threshold)
    assert set(np.unique(found)) == {0, 1, 2}
    peak = maps.max(0)
    np.testing.assert_array_equal(found > 0, peak > np.float32(threshold))


def test_wider_thresholds_leave_more_open():
    _, maps = photo()
    found = [
        label(maps, [0, 1], fg_thr=fg_thr, bg_thr=bg_thr)
        for fg_thr, bg_thr in [(.3, .25), (.45, .25), (.45, .05), (1., 0.)]
    ]
    still_open = [(mask == 255).sum() for mask in found]
    assert still_open == sorted(still_open) and still_open[0] > 0
    for first, second in zip(found, found[1:]):
        # what is decided with the wider ones is decided the same before
        decided = second != 255
        np.testing.assert_array_equal(first[decided], second[decided])
    # no map is above 1
    assert set(np.unique(found[-1])) <= {0, 255}


def test_value_of_open_pixels():
    _, maps = photo()
    usual, other = (
        label(maps, [0, 1], ignore_index=value) for value in (255, 99))
    assert set(np.unique(other)) == {0, 1, 2, 99}
    np.testing.assert_array_equal(usual == 255, other == 99)


@pytest.mark.parametrize('crf', [None, NO_CRF])
def test_no_class_is_all_background(crf):
    found = label(np.zeros((0, 5, 7)), [], crf=crf)
    assert found.dtype == np.uint8 and found.shape == (5, 7)
    assert not found.any()


# --- the CRF --------------------------------------------------------------


def test_both_masks_are_refined():
    image, maps = photo()
    options = dict(fg_thr=.6, bg_thr=.2)
    crf = dict(backend='torch', num_iters=5)
    found = confident_labels(image, maps, [4, 9], crf=crf, **options)
    refined = []
    for threshold in (.6, .2):
        above = maps.max(0) > np.float32(threshold)
        mask = np.where(above, maps.argmax(0) + 1, 0)
        refined.append(DenseCRF(image, **crf).refine_labels(mask, 3))
    expected = np.array([0, 5, 10])[refined[0]]
    expected[(refined[0] == 0) & (refined[1] != 0)] = 255
    np.testing.assert_array_equal(found, expected)
    plain = confident_labels(image, maps, [4, 9], crf=NO_CRF, **options)
    assert (found != plain).mean() > .05
    # the border is where the image has it
    assert not (found[:, :15] == 10).any() and not (found[:, 15:] == 5).any()


def test_defaults_are_those_of_irn(monkeypatch):
    calls = []

    class Spy(DenseCRF):

        def __init__(self, image, **kwargs):
            calls.append((image, kwargs))
            super().__init__(image, **kwargs)

    monkeypatch.setattr(MODULE, 'DenseCRF', Spy)
    image, maps = photo()
    options = dict(fg_thr=.6, bg_thr=.2)
    one = confident_labels(image, maps, [0, 1], **options)
    irn = dict(
        gaussian_sxy=3,
        gaussian_compat=3,
        bilateral_sxy=50,
        bilateral_srgb=5,
        bilateral_compat=10,
        num_iters=10)
    two = confident_labels(image, maps, [0, 1], crf=irn, **options)
    np.testing.assert_array_equal(one, two)
    # one object for both masks, whose lattices are then shared
    assert [kwargs for _, kwargs in calls] == [{}, irn]
    assert all(seen is image for seen, _ in calls)


def test_inputs_are_left_alone():
    image, maps = photo()
    before = image.copy(), maps.copy()
    confident_labels(image, maps, [0, 1], fg_thr=.6, bg_thr=.2)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(maps, before[1])


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match='of the size of the image'):
        confident_labels(
            np.zeros((4, 5, 3), np.uint8),
            np.zeros((1, 5, 4), np.float32), [0],
            fg_thr=.5,
            bg_thr=.2)


def test_thresholds_of_the_image():
    """'otsu' takes two thresholds that separate the scores best."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (12, 16, 3), np.uint8)
    maps = rng.choice([.1, .45, .9], (2, 12, 16)).astype(np.float32)
    low, high = otsu_thresholds(torch.from_numpy(maps.max(0)), 2)
    assert .1 < low <= .45 < high <= .9
    found = confident_labels(image, maps, (0, 3), fg_thr='otsu', bg_thr='otsu')
    expected = confident_labels(image, maps, (0, 3), fg_thr=high, bg_thr=low)
    assert np.array_equal(found, expected)
    assert not confident_labels(
        image, maps[:0], (), fg_thr='otsu', bg_thr='otsu').any()


def test_images_of_a_batch_are_labeled_by_themselves():
    first, second = photo(0), photo(1)
    cut = second[0][:20], second[1][:1, :20]
    options = dict(fg_thr=.6, bg_thr=.2, crf=dict(num_iters=3))
    both = ops.confident_labels([first[0], cut[0]], [first[1], cut[1]],
                                [(0, 1), (4, )], **options)
    np.testing.assert_array_equal(both[0],
                                  confident_labels(*first, (0, 1), **options))
    np.testing.assert_array_equal(both[1],
                                  confident_labels(*cut, (4, ), **options))
