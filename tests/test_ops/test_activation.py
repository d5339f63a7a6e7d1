import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmlpcam.ops import (activation_maps, covered_size, flip_average,
                         full_size_maps, normalize_maps, prototype_direction,
                         strided_maps)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bilinear(image, height, width):
    """Half-pixel bilinear resize of a NumPy image, pixel by pixel."""
    out = np.zeros((height, width))
    h, w = image.shape
    for y in range(height):
        for x in range(width):
            v = max((y + .5) * h / height - .5, 0)
            u = max((x + .5) * w / width - .5, 0)
            y0, x0 = int(v), int(u)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            b, a = v - y0, u - x0
            out[y,
                x] = ((1 - b) * ((1 - a) * image[y0, x0] + a * image[y0, x1]) +
                      b * ((1 - a) * image[y1, x0] + a * image[y1, x1]))
    return out


# --- activation_maps ------------------------------------------------------


def test_cam_by_hand():
    feats = torch.tensor([[1., 2.], [-3., 0.]]).view(1, 2, 1, 2)
    directions = torch.tensor([[1., 1.], [2., 0.], [0., -1.]])
    maps = activation_maps(feats, directions, normalize=False)
    torch.testing.assert_close(maps[0, :, 0],
                               torch.tensor([[0., 2.], [2., 4.], [3., 0.]]))


def test_lpcam_by_hand():
    feats = torch.tensor([[3., 0.], [4., 0.]]).view(1, 2, 1, 2)
    directions = torch.tensor([[1., 0.], [0., -1.], [2., 2.]])
    maps = activation_maps(feats, directions, normalize=True)
    # the second position has no direction: zero, not NaN
    torch.testing.assert_close(maps[0, :, 0],
                               torch.tensor([[.6, 0.], [0., 0.], [2.8, 0.]]))


@pytest.mark.parametrize('num_context', [0, 1, 4])
def test_product_equals_loop_over_prototypes(num_context):
    feats, fg, bg = randn(2, 7, 3, 5), randn(
        3, 7, seed=1), randn(
            num_context, 7, seed=2)
    maps = activation_maps(
        feats, prototype_direction(fg, bg)[None], normalize=True)
    expected = torch.zeros(2, 1, 3, 5)
    for n in range(2):
        for y in range(3):
            for x in range(5):
                point = feats[n, :, y, x]
                score = np.mean(
                    [float(F.cosine_similarity(point, p, dim=0)) for p in fg])
                if num_context:
                    score -= np.mean([
                        float(F.cosine_similarity(point, p, dim=0)) for p in bg
                    ])
                expected[n, 0, y, x] = max(score, 0)
    assert expected.max() > .1
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-6)


def test_scale_of_features_matters_for_cam_only():
    feats, directions = randn(1, 6, 4, 4), randn(2, 6, seed=1)
    lpcam = activation_maps(feats, directions, normalize=True)
    torch.testing.assert_close(
        activation_maps(7 * feats, directions, normalize=True), lpcam)
    cam = activation_maps(feats, directions, normalize=False)
    torch.testing.assert_close(
        activation_maps(7 * feats, directions, normalize=False), 7 * cam)


def test_images_and_classes_are_independent():
    feats, directions = randn(3, 6, 4, 4), randn(5, 6, seed=1)
    maps = activation_maps(feats, directions, normalize=True)
    for n in range(3):
        for c in range(5):
            torch.testing.assert_close(
                activation_maps(
                    feats[n:n + 1], directions[c:c + 1], normalize=True)[0, 0],
                maps[n, c])


def test_inputs_are_left_alone():
    feats, directions = randn(1, 6, 4, 4), randn(2, 6, seed=1)
    before = feats.clone(), directions.clone()
    activation_maps(feats, directions, normalize=True)
    activation_maps(feats, directions, normalize=False)
    assert torch.equal(feats, before[0])
    assert torch.equal(directions, before[1])


def test_autocast_does_not_round_the_product():
    feats, directions = randn(1, 64, 4, 4), randn(2, 64, seed=1)
    expected = activation_maps(feats, directions, normalize=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = activation_maps(feats, directions, normalize=True)
    assert maps.dtype == torch.float32
    assert torch.equal(maps, expected)


def test_half_precision_features_give_float_maps():
    feats, directions = randn(1, 6, 4, 4), randn(2, 6, seed=1)
    maps = activation_maps(feats.half(), directions, normalize=True)
    assert maps.dtype == torch.float32
    torch.testing.assert_close(
        maps,
        activation_maps(feats.half().float(), directions, normalize=True))


@pytest.mark.parametrize('feats, directions, message', [
    ((2, 3, 4), (1, 3), r'expected `feats` \(N, D, h, w\).*\(2, 3, 4\)'),
    ((1, 3, 4, 4), (3, ), r'`directions` \(C, D\).*\(3,\)'),
    ((1, 3, 4, 4), (2, 5), 'have 3 channels but `directions` have 5'),
])
def test_activation_maps_errors(feats, directions, message):
    with pytest.raises(ValueError, match=message):
        activation_maps(
            torch.zeros(feats), torch.zeros(directions), normalize=False)


# --- flip_average ---------------------------------------------------------


def test_flip_average_by_hand():
    views = torch.tensor([[1., 2., 3.], [4., 5., 6.], [30., 20., 10.],
                          [0., 0., 9.]]).view(4, 1, 1, 3)
    torch.testing.assert_close(
        flip_average(views).view(2, 3),
        torch.tensor([[5.5, 11., 16.5], [6.5, 2.5, 3.]]))


def test_flip_average_of_an_exact_mirror_changes_nothing():
    image = randn(2, 3, 4, 5)
    assert torch.equal(flip_average(torch.cat([image, image.flip(-1)])), image)


def test_flip_average_mirrors_columns_not_rows():
    views = torch.zeros(2, 1, 3, 4)
    views[1, 0, 0, 1] = 2.
    fused = flip_average(views)
    assert fused[0, 0, 0, 2] == 1. and fused.sum() == 1.


# --- full_size_maps, strided_maps -----------------------------------------


@pytest.mark.parametrize('size, stride, cells', [((32, 48), 16, (2, 3)),
                                                 ((17, 30), 16, (2, 2)),
                                                 ((20, 9), 8, (3, 2)),
                                                 ((1, 1), 16, (1, 1))])
def test_full_size_maps_stretch_then_crop(size, stride, cells):
    maps = randn(1, 1, *cells)
    padded = bilinear(maps[0, 0].numpy(), cells[0] * stride, cells[1] * stride)
    full = full_size_maps(maps, size, covered_size(size, stride))
    assert full.shape == (1, 1, *size)
    np.testing.assert_allclose(
        full[0, 0], padded[:size[0], :size[1]], atol=1e-5)


def test_full_size_maps_of_another_scale_cover_the_same_area():
    """At scale 2 there are more cells, but the target stays."""
    maps = randn(1, 1, 5, 7)
    np.testing.assert_allclose(
        full_size_maps(maps, (33, 50), (48, 64))[0, 0],
        bilinear(maps[0, 0].numpy(), 48, 64)[:33, :50],
        atol=1e-5)


@pytest.mark.parametrize('size, out', [((32, 48), (8, 12)), ((33, 35), (9, 9)),
                                       ((3, 1), (1, 1))])
def test_strided_maps(size, out):
    maps = randn(1, 2, 3, 4)
    strided = strided_maps(maps, size)
    assert strided.shape == (1, 2, *out)
    np.testing.assert_allclose(
        strided[0, 1], bilinear(maps[0, 1].numpy(), *out), atol=1e-5)
    assert strided_maps(maps, (10, 11), out_stride=5).shape == (1, 2, 2, 3)


def full_size(maps, size):
    return full_size_maps(maps, size, covered_size(size, 16))


@pytest.mark.parametrize('resize', [full_size, strided_maps])
def test_resizing_keeps_constants_and_bounds(resize):
    constant = resize(torch.full((2, 3, 2, 3), .3), (21, 40))
    torch.testing.assert_close(constant, torch.full_like(constant, .3))
    maps = torch.rand(1, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    resized = resize(maps, (21, 40))
    assert maps.min() - 1e-6 <= resized.min()
    assert resized.max() <= maps.max() + 1e-6


@pytest.mark.parametrize('resize, size', [(full_size, (21, 40)),
                                          (strided_maps, (6, 10))])
def test_no_class_gives_no_map(resize, size):
    """An image without labels is resized too: (N, 0, H, W)."""
    assert resize(torch.zeros(2, 0, 2, 3), (21, 40)).shape == (2, 0, *size)


# --- normalize_maps -------------------------------------------------------


def test_normalize_maps_by_hand():
    maps = torch.tensor([[1., 4.], [0., .5]]).view(2, 1, 2)
    torch.testing.assert_close(
        normalize_maps(maps).view(2, 2),
        torch.tensor([[.25, 1.], [0., 1.]]),
        rtol=0,
        atol=0)
    torch.testing.assert_close(
        normalize_maps(maps, eps=.5).view(2, 2),
        torch.tensor([[1 / 4.5, 4 / 4.5], [0., .5]]))


@pytest.mark.parametrize('eps', [0., 1e-5])
def test_flat_map_becomes_zero(eps):
    maps = torch.zeros(3, 2, 2)
    maps[1, 0, 1] = 1e-30
    out = normalize_maps(maps, eps=eps)
    assert not out.isnan().any()
    assert torch.equal(out[[0, 2]], torch.zeros(2, 2, 2))
    assert out[1].max() == (1. if eps == 0 else torch.tensor(1e-30) / eps)


def test_each_map_has_its_own_maximum():
    maps = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    out = normalize_maps(maps)
    assert torch.equal(out.amax((-2, -1)), torch.ones(2, 3))
    torch.testing.assert_close(out * maps.amax((-2, -1), keepdim=True), maps)


def test_normalize_maps_of_nothing():
    assert normalize_maps(torch.zeros(1, 0, 3, 3)).shape == (1, 0, 3, 3)


def test_minimum_to_maximum():
    maps = torch.tensor([[1., 4.], [3., 3.]]).view(2, 1, 2)
    assert torch.equal(
        normalize_maps(maps, 'minmax').view(2, 2),
        torch.tensor([[0., 1.], [0., 0.]]))
    torch.testing.assert_close(
        normalize_maps(maps, 'minmax', eps=1.).view(2, 2),
        torch.tensor([[0., .75], [0., 0.]]))


def test_unknown_normalization():
    with pytest.raises(ValueError, match="'minmax', 'none'.*got 'softmax'"):
        normalize_maps(torch.zeros(1, 2, 2), 'softmax')
