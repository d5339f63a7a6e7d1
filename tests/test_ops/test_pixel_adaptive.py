import numpy as np
import pytest
import torch

from mmlpcam.ops import pixel_adaptive_refine


def one_step_by_hand(maps, image, dilations, w1, w2, w3):
    """The equations of the paper, pixel by pixel."""
    _, height, width = image.shape
    offsets = [(y * d, x * d) for d in dilations for y in (-1, 0, 1)
               for x in (-1, 0, 1) if (y, x) != (0, 0)]

    def at(planes, y, x):
        return planes[:, min(max(y, 0), height - 1), min(max(x, 0), width - 1)]

    def softmax(values):
        powers = np.exp(values - values.max())
        return powers / powers.sum()

    out = np.zeros_like(maps)
    far = np.array([np.hypot(*offset) for offset in offsets])
    near = softmax(-(far / far.std(ddof=1) / w2)**2)
    for y in range(height):
        for x in range(width):
            gaps = np.array([
                abs(at(image, y + dy, x + dx) - image[:, y, x])
                for dy, dx in offsets
            ])
            sigma = np.maximum(gaps.std(0, ddof=1), 1e-8)
            weights = softmax(-((gaps / sigma / w1)**2).mean(1)) + w3 * near
            scores = np.array([at(maps, y + dy, x + dx) for dy, dx in offsets])
            out[:, y, x] = (weights[:, None] * scores).sum(0) / (1 + w3)
    return out


def test_the_equations():
    rng = np.random.default_rng(0)
    image = rng.random((3, 7, 9))
    maps = rng.random((2, 7, 9))
    found = pixel_adaptive_refine(
        torch.from_numpy(maps),
        torch.from_numpy(image),
        dilations=(1, 2),
        num_iters=1,
        color_scale=.5,
        position_scale=.4,
        position_weight=.1)
    expected = one_step_by_hand(maps, image, (1, 2), .5, .4, .1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_maps_follow_the_edges_of_colours():
    """A blob on one half of a photo fills that half, and no more."""
    image = torch.zeros(3, 16, 16)
    image[:, :, 8:] = 255.
    image += torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = torch.zeros(1, 16, 16)
    maps[:, 6:10, 1:5] = 1.
    found = pixel_adaptive_refine(maps, image, dilations=(1, 2, 4))
    assert found[0, :, :8].mean() > 50 * found[0, :, 8:].mean()
    assert found[0, :, :8].mean() < maps[0, :, :8].mean() * 1.5
    # the scale of the colours does not count
    again = pixel_adaptive_refine(maps, image / 58 - 2, dilations=(1, 2, 4))
    torch.testing.assert_close(again, found, atol=1e-4, rtol=1e-3)


def test_scores_stay_in_their_range():
    image = torch.randint(
        0, 256, (3, 30, 40), generator=torch.Generator().manual_seed(0))
    image[:, :10] = 7  # flat
    maps = torch.rand(2, 30, 40, generator=torch.Generator().manual_seed(1))
    found = pixel_adaptive_refine(maps, image.byte())
    assert found.dtype == torch.float32 and found.isfinite().all()
    assert 0 <= found.min() and found.max() <= 1
    ones = pixel_adaptive_refine(torch.ones(1, 30, 40), image.byte())
    torch.testing.assert_close(ones, torch.ones(1, 30, 40))
    assert pixel_adaptive_refine(maps[:0], image).shape == (0, 30, 40)


def test_other_sizes():
    with pytest.raises(ValueError, match='different sizes'):
        pixel_adaptive_refine(torch.rand(1, 4, 5), torch.rand(3, 5, 4))
