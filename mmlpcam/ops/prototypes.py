"""Local prototypes: which features to cluster, which centres to keep."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .activation import normalize_maps

# Centres this close to the best one count as equally good (official COCO
# fallback).
_FALLBACK_MARGIN = 1e-6


def sample_map(cam: Tensor, size: Sequence[int]) -> Tensor:
    """Read a map at the positions of features, by the nearest rule.

    Args:
        cam (Tensor): Map of one class, (H, W).
        size (Sequence[int]): Rows h and columns w of the features.

    Returns:
        Tensor: Values (h * w, ), row by row.
    """
    return F.interpolate(
        cam[None, None], size=list(size), mode='nearest').flatten()


def split_features(feats: Tensor, cam: Tensor,
                   fg_thr: float) -> tuple[Tensor, Tensor]:
    """Split the positions of a feature map by the CAM of one class.

    LPCAM Sec. 3.2: positions above the threshold are foreground, positions
    below it are context; those equal to it are in neither, as in the
    official code.

    Args:
        feats (Tensor): Features of one image, (D, h, w).
        cam (Tensor): Normalised CAM of one class, (H, W), values in [0, 1];
            sampled at the feature positions by the nearest rule.
        fg_thr (float): Threshold tau in [0, 1].

    Returns:
        tuple[Tensor, Tensor]: Flat positions (row * w + column, int64,
        ascending) of the foreground and of the context.
    """
    cam = sample_map(cam, feats.shape[-2:])
    return (torch.nonzero(cam > fg_thr).flatten(),
            torch.nonzero(cam < fg_thr).flatten())


def prototype_scores(centers: Tensor,
                     weight: Tensor,
                     bias: Tensor | None = None) -> Tensor:
    """Classify cluster centres with the classifier (LPCAM Sec. 3.2).

    Args:
        centers (Tensor): Cluster centres at their raw scale, (K, D).
        weight (Tensor): Classifier weights, (C, D).
        bias (Tensor, optional): Its bias, (C, ). Defaults to None: none.

    Returns:
        Tensor: Softmax over the foreground classes, (K, C).
    """
    logits = centers @ weight.to(centers).t()
    if bias is not None:
        logits = logits + bias.to(centers)
    return torch.softmax(logits, dim=1)


def select_class_prototypes(scores: Tensor, mu_f: float) -> Tensor:
    """Keep the foreground centres that the classifier gives to their class.

    Where none passes, the best one is kept (the rule of the official COCO
    code; the official VOC code stops with an error there).

    Args:
        scores (Tensor): Scores of the foreground centres of a class for this
            class, (K, ) in [0, 1].
        mu_f (float): Centres with a score > mu_f are kept, in [0, 1].

    Returns:
        Tensor: Mask of shape (K, ), bool. It holds a True unless K is 0.
    """
    keep = scores > mu_f
    if len(scores) and not keep.any():
        keep = scores >= scores.max() - _FALLBACK_MARGIN
    return keep


def select_context_prototypes(scores: Tensor,
                              mu_b: float,
                              mu_b_low: float = 0.) -> Tensor:
    """Keep the context centres that the classifier mistakes for the class.

    Args:
        scores (Tensor): Scores of the context centres of a class for this
            class, (K, ) in [0, 1].
        mu_b (float): Centres with a score < mu_b are kept, in [0, 1].
        mu_b_low (float): Centres with a score <= mu_b_low are dropped: 0.05
            in the official VOC code, 0 in the COCO code and in the paper.
            Defaults to 0.

    Returns:
        Tensor: Mask of shape (K, ), bool. It may be all False.
    """
    return (scores > mu_b_low) & (scores < mu_b)


def prototype_direction(class_prototypes: Tensor,
                        context_prototypes: Tensor) -> Tensor:
    r"""Collapse the prototypes of a class into one direction.

    .. math::
        d = \mathrm{mean}_p \frac{p}{|p|} - \mathrm{mean}_b \frac{b}{|b|}

    Args:
        class_prototypes (Tensor): Class prototypes, (P, D).
        context_prototypes (Tensor): Context prototypes, (B, D).

    Returns:
        Tensor: Direction of shape (D, ). An empty set contributes zero.
    """

    def mean_unit(prototypes: Tensor) -> Tensor:
        return F.normalize(prototypes, dim=1).sum(0) / max(len(prototypes), 1)

    return mean_unit(class_prototypes) - mean_unit(context_prototypes)


def image_directions(feats: Tensor, maps: Tensor) -> Tensor:
    r"""Point from the rest of an image to where a map of it is high.

    The image-specific prototype of SIPE (https://arxiv.org/abs/2203.02909),
    with the map M as the weight in the place of a seed region, less that of
    the rest of the image:

    .. math::
        \frac{\sum_x M(x) \, f(x) / |f(x)|}{\sum_x M(x)} -
        \frac{\sum_x (1 - M(x)) \, f(x) / |f(x)|}{\sum_x (1 - M(x))}

    Args:
        feats (Tensor): Features of N images, (N, D, h, w).
        maps (Tensor): Maps of n classes, (N, n, h, w), values >= 0; each is
            divided by its maximum.

    Returns:
        Tensor: (N, n, D) float32, of unit length; zero for a map that is
        zero.

    Example:
        >>> feats = torch.tensor([[3., 0.], [0., 2.]]).view(1, 2, 1, 2)
        >>> maps = torch.tensor([4., 0.]).view(1, 1, 1, 2)
        >>> image_directions(feats, maps)
        tensor([[[ 0.7071, -0.7071]]])
    """
    with torch.autocast(feats.device.type, enabled=False):
        unit = F.normalize(feats.float().flatten(2), dim=1)
        inside = normalize_maps(maps.float()).flatten(2)
        here, there = (
            weights @ unit.mT /
            weights.sum(2, keepdim=True).clamp_min(torch.finfo().tiny)
            for weights in (inside, 1 - inside))
        return F.normalize(here - there, dim=2) * inside.amax(2, keepdim=True)


def nearest_similarity(feats: Tensor, stored: Tensor, number: int) -> Tensor:
    """Compare features with the nearest of stored ones.

    Args:
        feats (Tensor): Features of one image, (D, h, w).
        stored (Tensor): Stored features, (S, D).
        number (int): How many of them count, k >= 1.

    Returns:
        Tensor: Mean cosine to the k nearest, (h, w) in [-1, 1]; zero where
        nothing is stored.

    Example:
        >>> stored = torch.tensor([[2., 0.], [0., 1.], [-1., 0.]])
        >>> nearest_similarity(torch.tensor([1., 0.]).view(2, 1, 1), stored, 2)
        tensor([[0.5000]])
    """
    if not len(stored):
        return feats.new_zeros(feats.shape[1:])
    unit = F.normalize(feats.flatten(1), dim=0)
    cosines = F.normalize(stored, dim=1) @ unit
    nearest = cosines.topk(min(number, len(stored)), dim=0).values
    return nearest.mean(0).unflatten(0, feats.shape[1:])
