"""Class activation maps: CAM and LPCAM as one product, fusion, resizing."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

NORMALIZATIONS = ('class', 'image', 'minmax', 'none')
"""tuple[str, ...]: How :func:`normalize_maps` brings maps to [0, 1]."""

# torch.nn.functional.cosine_similarity guards its norms with the same value.
_NORM_EPS = 1e-8
_BLOCK = 256


def activation_maps(feats: Tensor, directions: Tensor, *,
                    normalize: bool) -> Tensor:
    r"""Compute the maps of all classes of a batch in one product.

    CAM is :math:`\mathrm{ReLU}(\langle f(x), w_c \rangle)` with the
    classifier weights :math:`w_c`. LPCAM (https://arxiv.org/abs/2303.10334,
    Eq. 4 to 6) is a mean of cosines to class prototypes minus a mean of
    cosines to context prototypes. A mean of cosines is linear in the unit
    feature, so that LPCAM is
    :math:`\mathrm{ReLU}(\langle f(x) / |f(x)|, d_c \rangle)` with the
    directions of :func:`~mmlpcam.ops.prototype_direction`.

    Args:
        feats (Tensor): Local features of shape (N, D, h, w).
        directions (Tensor): One row per class, of shape (C, D): classifier
            weights for CAM, prototype directions for LPCAM.
        normalize (bool): Whether features are scaled to unit length: False
            for CAM, True for LPCAM. A zero feature stays zero.

    Returns:
        Tensor: Maps of shape (N, C, h, w), float32, >= 0.

    Example:
        >>> feats = torch.tensor([3., 4.]).view(1, 2, 1, 1)
        >>> directions = torch.tensor([[1., 0.], [0., 1.]])
        >>> activation_maps(feats, directions, normalize=True).flatten()
        tensor([0.6000, 0.8000])
    """
    if feats.ndim != 4 or directions.ndim != 2:
        raise ValueError(
            'expected `feats` (N, D, h, w) and `directions` (C, D), but got '
            f'{tuple(feats.shape)} and {tuple(directions.shape)}')
    if feats.shape[1] != directions.shape[1]:
        raise ValueError(
            f'`feats` have {feats.shape[1]} channels but `directions` have '
            f'{directions.shape[1]}: both must come from the same model')
    # Half precision under autocast would move the maps by more than the
    # background threshold resolves.
    with torch.autocast(feats.device.type, enabled=False):
        flat = feats.float().flatten(2)
        maps = directions.to(flat) @ flat
        if normalize:
            # vector_norm() is five times slower over this dimension; blocks
            # keep the squares in the cache
            norms = sum(block.square().sum(1, keepdim=True)
                        for block in flat.split(_BLOCK, dim=1)).sqrt()
            maps = maps / norms.clamp_min(_NORM_EPS)
    return maps.relu_().unflatten(2, feats.shape[2:])


def flip_average(views: Tensor) -> Tensor:
    """Fuse the views of images and of their horizontal mirror images.

    The official codes sum the two; the maximum normalisation that follows
    cancels the factor.

    Args:
        views (Tensor): Features or maps of shape (2N, C, h, w): N images,
            then their N mirror images in the same order.

    Returns:
        Tensor: Mean of image and un-flipped mirror image, (N, C, h, w).
    """
    image, mirror = views.chunk(2)
    return (image + mirror.flip(-1)) / 2


def covered_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the size of the area that features of an image cover.

    Args:
        size (tuple[int, int]): Image size (H, W) in pixels.
        stride (int): Stride of the features in pixels.

    Returns:
        tuple[int, int]: Next multiples of the stride, in pixels.

    Example:
        >>> covered_size((375, 500), 16)
        (384, 512)
    """
    height, width = (-(-edge // stride) * stride for edge in size)
    return height, width


def full_size_maps(maps: Tensor, size: tuple[int, int],
                   extent: tuple[int, int]) -> Tensor:
    """Resize maps to the image.

    The maps are stretched to the area that they cover and then cropped to
    the image. With :func:`covered_size` as the area this is what IRN and
    LPCAM do; with the image as the area, what MCTformer does.

    Args:
        maps (Tensor): Maps of shape (N, C, h, w).
        size (tuple[int, int]): Image size (H, W) in pixels.
        extent (tuple[int, int]): Size of the area that the maps cover, from
            the top left corner of the image, in its pixels.

    Returns:
        Tensor: Maps of shape (N, C, H, W).
    """
    return _resize(maps, extent)[..., :size[0], :size[1]]


def strided_maps(maps: Tensor,
                 size: tuple[int, int],
                 out_stride: int = 4) -> Tensor:
    """Resize maps to a quarter of the image, the size that IRN works on.

    Args:
        maps (Tensor): Maps of shape (N, C, h, w).
        size (tuple[int, int]): Image size (H, W) in pixels.
        out_stride (int): Pixels of the image per cell. Defaults to 4.

    Returns:
        Tensor: Maps of shape (N, C, ceil(H / 4), ceil(W / 4)).
    """
    return _resize(maps, [-(-edge // out_stride) for edge in size])


def _resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    if maps.numel() == 0:  # no class, which interpolate() refuses
        return maps.new_zeros(*maps.shape[:2], *size)
    return F.interpolate(
        maps, size=list(size), mode='bilinear', align_corners=False)


def normalize_maps(maps: Tensor,
                   mode: str = 'class',
                   eps: float = 0.) -> Tensor:
    """Bring the maps of an image to [0, 1].

    A flat map becomes all zero. (The official LPCAM code divides zero by zero
    there: NaN, which then floods the whole image.)

    Args:
        maps (Tensor): Maps of shape (..., n, H, W), values >= 0.
        mode (str): 'class' divides each map by its maximum, as CAM and LPCAM
            have it; 'image' divides the n maps by one maximum, as IRN has it
            after the random walk; 'minmax' stretches each map from its
            minimum to its maximum, as MCTformer has it; 'none' takes maps as
            they are. Defaults to 'class'.
        eps (float): Added to what a map is divided by: 1e-5 in the official
            CAM, 0 in the official LPCAM. Defaults to 0.

    Returns:
        Tensor: Maps of the same shape, values in [0, 1].

    Raises:
        ValueError: If the mode is unknown.

    Example:
        >>> maps = torch.tensor([[[1., 2.]], [[3., 4.]]])
        >>> normalize_maps(maps, 'class').flatten()
        tensor([0.5000, 1.0000, 0.7500, 1.0000])
        >>> normalize_maps(maps, 'minmax').flatten()
        tensor([0., 1., 0., 1.])
    """
    if mode not in NORMALIZATIONS:
        raise ValueError(f'expected a normalisation of {NORMALIZATIONS}, but '
                         f'got {mode!r}')
    if maps.numel() == 0 or mode == 'none':
        return maps
    if mode == 'minmax':
        maps = maps - maps.amin(dim=(-2, -1), keepdim=True)
    dim = (-3, -2, -1) if mode == 'image' else (-2, -1)
    peak = maps.amax(dim=dim, keepdim=True)
    return torch.where(peak > 0, maps / (peak + eps), torch.zeros_like(maps))
