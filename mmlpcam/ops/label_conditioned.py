"""Losses and maps of the activation manipulation network (AMN)."""
from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor


def balanced_smooth_loss(logits: Tensor,
                         target: Tensor,
                         smoothing: float = 0.4,
                         ignore_index: int = 255) -> Tensor:
    """Compute the per-pixel classification loss of AMN.

    Cross-entropy with smoothed labels (AMN, https://arxiv.org/abs/2203.16045,
    Sec. 3.2): `1 - smoothing` for the class of the pixel, the rest in equal
    shares for all others. Background and foreground pixels of the batch count
    half each. Where one of the two does not occur, the loss is that of the
    other; where neither does, it is zero. (The official code gives NaN there.)

    Args:
        logits (Tensor): (N, C + 1, h, w), class 0 is the background.
        target (Tensor): Labels (N, h, w), int64.
        smoothing (float): In [0, 1). Defaults to 0.4.
        ignore_index (int): Label that does not count. Defaults to 255.

    Returns:
        Tensor: The loss, a scalar.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 2)
        >>> balanced_smooth_loss(logits, torch.tensor([[[0, 255]]]))
        tensor(0.6931)
    """
    log_probs = F.log_softmax(logits, dim=1)
    kept = target != ignore_index
    index = target.where(kept, 0)[:, None]
    others = smoothing / (logits.shape[1] - 1)
    right = log_probs.gather(1, index)[:, 0]
    loss = -((1 - smoothing - others) * right + others * log_probs.sum(1))
    sides = [(target == 0) & kept, (target != 0) & kept]
    means = [loss[side].mean() for side in sides if side.any()]
    # the zero keeps the graph
    return torch.stack(means).mean() if means else (log_probs * 0).sum()


def gated_maps(logits: Sequence[Tensor], labels: Sequence[int], seed: Tensor,
               size: tuple[int, int]) -> Tensor:
    """Turn logits of several scales into the maps of AMN.

    The mean over the scales is soft-maxed over all classes. Where the seed
    says background, a map keeps its probability, which is low; elsewhere it
    is stretched from its minimum to its maximum over the image.

    Args:
        logits (Sequence[Tensor]): Logits of each scale, (C + 1, h_s, w_s),
            the background first.
        labels (Sequence[int]): The n 0-based foreground classes of the image.
        seed (Tensor): Labels that the network learned from, (H, W), of any
            size; 0 is the background.
        size (tuple[int, int]): Size (H, W) of the maps.

    Returns:
        Tensor: Maps (n + 1, H, W) in [0, 1], the background first.
    """
    resized = (
        F.interpolate(
            scale[None].float(),
            size=list(size),
            mode='bilinear',
            align_corners=False)[0] for scale in logits)
    mean = reduce(torch.add, resized) / len(logits)
    planes = [0, *(label + 1 for label in labels)]
    maps = mean.softmax(0)[planes]
    low = maps.amin((1, 2), keepdim=True)
    high = maps.amax((1, 2), keepdim=True)
    stretched = (maps - low) / (high - low + 1e-5)
    # Pillow's nearest rule, by the centre of a cell
    gate = F.interpolate(
        seed[None, None].float(), size=list(size), mode='nearest-exact')[0]
    return torch.where(gate != 0, stretched, maps)
