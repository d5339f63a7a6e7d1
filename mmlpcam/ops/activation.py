"""Class activation maps: CAM and LPCAM as one product, fusion, resizing."""
import torch
import torch.nn.functional as F
from torch import Tensor

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


def full_size_maps(maps: Tensor,
                   size: tuple[int, int],
                   stride: int = 16) -> Tensor:
    """Resize maps to the image, as IRN and LPCAM do.

    The maps are stretched to the next multiple of the feature stride, which
    is the area that the features cover, and then cropped to the image.

    Args:
        maps (Tensor): Maps of shape (N, C, h, w).
        size (tuple[int, int]): Image size (H, W) in pixels.
        stride (int): Stride of the features in pixels at scale 1. Defaults
            to 16.

    Returns:
        Tensor: Maps of shape (N, C, H, W).
    """
    padded = [-(-edge // stride) * stride for edge in size]
    return _resize(maps, padded)[..., :size[0], :size[1]]


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


def _resize(maps: Tensor, size: list[int]) -> Tensor:
    if maps.numel() == 0:  # no class, which interpolate() refuses
        return maps.new_zeros(*maps.shape[:2], *size)
    return F.interpolate(maps, size=size, mode='bilinear', align_corners=False)


def max_normalize(maps: Tensor,
                  eps: float = 0.,
                  joint: bool = False) -> Tensor:
    """Divide each map by its maximum.

    A map without a positive value becomes all zero. (The official LPCAM code
    divides zero by zero there: NaN, which then floods the whole image.)

    Args:
        maps (Tensor): Maps of shape (..., n, H, W), values >= 0.
        eps (float): Added to a positive maximum: 1e-5 in the official CAM,
            0 in the official LPCAM. Defaults to 0.
        joint (bool): Whether the n maps of an image share one maximum, as
            IRN has it after the random walk. Defaults to False.

    Returns:
        Tensor: Maps of the same shape, values in [0, 1].
    """
    if maps.numel() == 0:
        return maps
    peak = maps.amax(dim=(-3, -2, -1) if joint else (-2, -1), keepdim=True)
    return torch.where(peak > 0, maps / (peak + eps), torch.zeros_like(maps))
