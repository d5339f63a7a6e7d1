# ruff: noqa: C408 (configs are written as dict(...))
from collections import Counter

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from mmlpcam.datasets import LoadPseudoLabel, RandomCanvasCrop


def results(path, **extra):
    return dict(
        seg_map_path=path,
        seg_fields=[],
        reduce_zero_label=False,
        label_map=None,
        **extra)


# --- LoadPseudoLabel ------------------------------------------------------


def test_load_pseudo_label_missing():
    transform = TRANSFORMS.build(dict(type='LoadPseudoLabel'))
    out = transform(results(None, img=np.zeros((2, 3, 3), np.uint8)))
    np.testing.assert_array_equal(out['gt_seg_map'], np.full((2, 3), 255))
    assert out['gt_seg_map'].dtype == np.uint8
    assert out['seg_fields'] == ['gt_seg_map']

    out = LoadPseudoLabel(ignore_index=7)(
        results(None, img=np.zeros((1, 2, 3), np.uint8)))
    np.testing.assert_array_equal(out['gt_seg_map'], [[7, 7]])


def test_load_pseudo_label_present(tmp_path):
    mask = np.array([[0, 4], [255, 1]], dtype=np.uint8)
    Image.fromarray(mask).save(tmp_path / 'a.png')
    out = LoadPseudoLabel()(results(str(tmp_path / 'a.png')))
    np.testing.assert_array_equal(out['gt_seg_map'], mask)
    assert out['seg_fields'] == ['gt_seg_map']


def test_load_pseudo_label_errors():
    with pytest.raises(ValueError, match=r'in \[0, 255\].*got 256'):
        LoadPseudoLabel(ignore_index=256)
    with pytest.raises(ValueError, match='put LoadImageFromFile before'):
        LoadPseudoLabel()(results(None))
    assert repr(
        LoadPseudoLabel()).startswith('LoadPseudoLabel(ignore_index=255, ')


# --- RandomCanvasCrop -----------------------------------------------------


def sample(height, width):
    """Pixel (y, x) of image and map both tell y and x; 1-based."""
    y, x = np.mgrid[1:height + 1, 1:width + 1]
    code = (16 * y + x).astype(np.uint8)
    return dict(
        img=np.stack([code, code, code], axis=-1),
        gt_seg_map=code.copy(),
        gt_edge_map=code.copy(),
        seg_fields=['gt_seg_map', 'gt_edge_map'])


@pytest.mark.parametrize('height, width', [(2, 3), (9, 8), (3, 9), (8, 2),
                                           (4, 5), (4, 9), (1, 1)])
def test_canvas_holds_a_window_of_the_image(height, width):
    np.random.seed(0)  # noqa: NPY002
    transform = RandomCanvasCrop((4, 5), (1, 2, 3), seg_pad_val=0)
    for _ in range(20):
        data = sample(height, width)
        original = data['gt_seg_map']
        out = transform(data)
        seg = out['gt_seg_map']
        assert seg.shape == (4, 5) and out['img'].shape == (4, 5, 3)
        assert out['img_shape'] == out['pad_shape'] == (4, 5)
        np.testing.assert_array_equal(seg, out['gt_edge_map'])
        placed = seg > 0
        # the window is as large as it can be, and the rest is canvas
        assert placed.sum() == min(height, 4) * min(width, 5)
        ys, xs = np.nonzero(placed)
        y, x = divmod(int(seg[ys[0], xs[0]]), 16)
        h, w = min(height, 4), min(width, 5)
        np.testing.assert_array_equal(
            seg[ys[0]:ys[0] + h, xs[0]:xs[0] + w], original[y - 1:y - 1 + h,
                                                            x - 1:x - 1 + w])
        np.testing.assert_array_equal(out['img'][placed][:, 1], seg[placed])
        assert (out['img'][~placed] == [1, 2, 3]).all()


@pytest.mark.parametrize('length, expected', [
    (3, {(0, 0), (0, 1), (0, 2)}),
    (5, {(0, 0)}),
    (7, {(0, 0), (1, 0), (2, 0)}),
])
def test_offsets_are_uniform(length, expected):
    np.random.seed(0)  # noqa: NPY002
    transform = RandomCanvasCrop(5)
    counts = Counter(transform._offsets(length, 5)[0] for _ in range(3000))
    assert set(counts) == expected
    for count in counts.values():
        assert abs(count - 3000 / len(expected)) < 120


def test_axes_are_independent():
    np.random.seed(0)  # noqa: NPY002
    transform = RandomCanvasCrop(4)
    pairs = {tuple(transform._offsets(3, 6)) for _ in range(200)}
    assert pairs == {((0, y), (x, 0)) for y in (0, 1) for x in (0, 1, 2)}


def test_canvas_padding_values():
    img = np.full((1, 1, 3), 200, np.uint8)
    default = RandomCanvasCrop(2)(dict(img=img))['img']
    # the BGR ImageNet mean, rounded and not cut
    assert sorted(map(tuple,
                      default.reshape(-1,
                                      3).tolist())) == ([(104, 116, 124)] * 3 +
                                                        [(200, 200, 200)])
    exact = RandomCanvasCrop(2, (0.5, 1.5, 2.5))(
        dict(img=img.astype(np.float32)))['img']
    assert exact.dtype == np.float32
    assert (exact.reshape(-1, 3) == [0.5, 1.5, 2.5]).all(1).sum() == 3
    gray = RandomCanvasCrop((1, 2), 9)(dict(img=img[..., 0]))['img']
    assert sorted(gray.ravel().tolist()) == [9, 200]
    # a map is padded with "ignore"
    out = RandomCanvasCrop(2)(dict(img=img, gt=img[..., 0], seg_fields=['gt']))
    assert sorted(out['gt'].ravel().tolist()) == [200, 255, 255, 255]


def test_canvas_does_not_change_its_input():
    data = sample(9, 9)
    img = data['img']
    before = img.copy()
    out = RandomCanvasCrop(4)(data)
    out['img'][:] = 0
    np.testing.assert_array_equal(img, before)


@pytest.mark.parametrize('size', [0, (4, ), (4, 5, 6), (4, -1), (4., 5.)])
def test_canvas_bad_size(size):
    with pytest.raises(ValueError, match='crop_size must be a positive int'):
        RandomCanvasCrop(size)


def test_canvas_errors():
    img = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match='has 3 values, but the image has 1'):
        RandomCanvasCrop(4)(dict(img=img))
    with pytest.raises(ValueError, match=r"'gt' has .*\(2, 3\).*\(3, 3\)"):
        RandomCanvasCrop(4, 0)(dict(img=img, gt=img[:2], seg_fields=['gt']))


def test_canvas_builds_from_config():
    transform = TRANSFORMS.build(
        dict(type='RandomCanvasCrop', crop_size=(4, 5), img_pad_val=0))
    assert repr(transform) == (
        'RandomCanvasCrop(crop_size=(4, 5), img_pad_val=0, seg_pad_val=255)')
