"""Refinement of maps by the colours of neighbouring pixels (PAR)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# The eight neighbours, in units of a dilation.
_STEPS = tuple(
    (y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


def pixel_adaptive_refine(maps: Tensor,
                          image: Tensor,
                          *,
                          dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
                          num_iters: int = 15,
                          color_scale: float = 0.3,
                          position_scale: float = 0.3,
                          position_weight: float = 0.01) -> Tensor:
    r"""Spread maps to neighbours of like colour (PAR).

    Each step replaces the score of a pixel by a mean over its neighbours k,
    eight at each dilation, with the weights

    .. math:: w_k \propto \operatorname{softmax}_k\left(
        -\left(\frac{|I - I_k|}{w_1 \sigma_I}\right)^2\right) + w_3
        \operatorname{softmax}_k\left(
        -\left(\frac{|P - P_k|}{w_2 \sigma_P}\right)^2\right)

    of colours I, as a mean over the channels, and positions P, with the
    standard deviations of the distances to the neighbours
    (https://arxiv.org/abs/2203.02664, Eq. 10 to 12). The weights sum to 1
    here, so that scores stay in their range. It needs no iterations of
    message passing over all pixels, as a dense CRF does, and runs on any
    device.

    Args:
        maps (Tensor): Maps of the n classes of an image, (n, H, W).
        image (Tensor): Its colours (3, H, W) in any linear scale, since they
            are divided by their deviations.
        dilations (Sequence[int]): Distances of the neighbours in pixels.
            Defaults to (1, 2, 4, 8, 12, 24).
        num_iters (int): Number of steps. Defaults to 15.
        color_scale (float): w_1. Defaults to 0.3.
        position_scale (float): w_2. Defaults to 0.3.
        position_weight (float): w_3. Defaults to 0.01.

    Returns:
        Tensor: Refined maps (n, H, W), float32, on the device of the maps.

    Raises:
        ValueError: If maps and image are of different sizes, or a setting
            is out of its range.
    """
    if not dilations or not all(
            isinstance(each, int) and each > 0 for each in dilations):
        raise ValueError('expected dilations of whole pixels above 0, but got '
                         f'{dilations}')
    # written so that NaN fails
    if not (num_iters >= 0 and position_weight >= 0 and color_scale > 0
            and position_scale > 0):
        raise ValueError(
            'expected num_iters and position_weight of at least 0, '
            'color_scale and position_scale above 0, but got '
            f'{num_iters}, {position_weight}, {color_scale} and '
            f'{position_scale}')
    if maps.shape[-2:] != image.shape[-2:]:
        raise ValueError(f'maps {tuple(maps.shape)} and image '
                         f'{tuple(image.shape)} are of different sizes')
    if not len(maps):
        return maps.float()
    offsets = [(y * d, x * d) for d in dilations for y, x in _STEPS]
    weights = _weights(
        image.to(maps.device).float(), offsets, color_scale, position_scale,
        position_weight)
    maps = maps.float()
    for _ in range(num_iters):
        maps = sum(
            weight * shifted
            for weight, shifted in zip(weights, _neighbors(maps, offsets)))
    return maps


def _neighbors(planes: Tensor, offsets: list[tuple[int, int]]) -> list[Tensor]:
    """Views (C, H, W) of planes, shifted by each offset; edges repeat."""
    height, width = planes.shape[-2:]
    reach = max(abs(y) for y, _ in offsets)
    padded = F.pad(planes[None], (reach, ) * 4, mode='replicate')[0]
    return [
        padded[:, reach + y:reach + y + height, reach + x:reach + x + width]
        for y, x in offsets
    ]


def _weights(image: Tensor, offsets: list[tuple[int, int]], color_scale: float,
             position_scale: float, position_weight: float) -> Tensor:
    """Weights (K, H, W) of the neighbours of each pixel, which sum to 1."""
    gaps = torch.stack([(shifted - image).abs()
                        for shifted in _neighbors(image, offsets)])
    deviation = gaps.std(0, keepdim=True).clamp(min=1e-8)
    alike = -((gaps / deviation / color_scale)**2).mean(1)
    far = torch.tensor(
        offsets, dtype=torch.float, device=image.device).norm(dim=1)
    near = -(far / far.std().clamp(min=1e-8) / position_scale)**2
    total = alike.softmax(0) + position_weight * near.softmax(0)[:, None, None]
    return total / (1 + position_weight)
