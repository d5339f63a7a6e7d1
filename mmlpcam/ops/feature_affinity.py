"""Affinities of pairs of cells from their features (AffinityNet, PSA)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity import pair_offsets
from .random_walk import walk


def feature_affinity(feats: Tensor, radius: int) -> Tensor:
    r"""Compute the affinity of each cell to its neighbours.

    :math:`a_{ij} = \exp(-\mathrm{mean}_d |f_{id} - f_{jd}|)` (AffinityNet,
    https://arxiv.org/abs/1803.10464, Eq. 1). Unlike in IRN nothing between the
    two cells counts. Sources are the cells whose neighbours all lie inside, as
    of :func:`~mmlpcam.ops.pair_affinity`.

    Args:
        feats (Tensor): Features of shape (N, D, H, W).
        radius (int): See :func:`~mmlpcam.ops.pair_offsets`.

    Returns:
        Tensor: (N, P, H - radius + 1, W - 2 * radius + 2) in (0, 1].

    Raises:
        ValueError: If the map is too small for the radius.
    """
    reach = radius - 1
    height, width = feats.shape[2] - reach, feats.shape[3] - 2 * reach
    if height < 1 or width < 1:
        raise ValueError(
            f'a grid of {tuple(feats.shape[2:])} cells (H, W) is too small '
            f'for pairs of radius {radius}: take larger crops or a smaller '
            'radius')

    def cells(dy: int, dx: int) -> Tensor:
        return feats[..., dy:dy + height, dx + reach:dx + reach + width]

    # one offset at a time, or it would take P times the features
    return torch.stack([(-(cells(0, 0) - cells(dy, dx)).abs().mean(1)).exp()
                        for dy, dx in pair_offsets(radius)], 1)


def affinity_walk(maps: Tensor,
                  affinity: Tensor,
                  *,
                  radius: int = 5,
                  beta: float = 8.,
                  num_steps: int = 64) -> Tensor:
    r"""Spread maps by a random walk along affinities.

    The transition matrix is :math:`T = D^{-1} A^{\circ\beta}`, with 1 for a
    cell itself, and the result :math:`T^t \mathrm{vec}(M)` (AffinityNet, Eq. 7
    and 8). A map that is constant stays as it is: a background score need not
    take part. The official code squares the dense matrix; the product with
    the sparse one, t times, gives the same.

    Args:
        maps (Tensor): Maps M of the n classes of an image, (n, H, W).
        affinity (Tensor): Of :func:`feature_affinity`, for one image:
            (P, H - radius + 1, W - 2 * radius + 2).
        radius (int): The same as there. Defaults to 5.
        beta (float): Power of the affinities. Defaults to 8.
        num_steps (int): Steps t of the walk. Defaults to 64.

    Returns:
        Tensor: Spread maps, (n, H, W) float32.

    Raises:
        ValueError: If the sizes do not agree.
    """
    return affinity_walk_many([maps],
                              affinity[None],
                              radius=radius,
                              beta=beta,
                              num_steps=num_steps)[0]


@torch.no_grad()
def affinity_walk_many(maps: Sequence[Tensor],
                       affinity: Tensor,
                       *,
                       radius: int = 5,
                       beta: float = 8.,
                       num_steps: int = 64) -> list[Tensor]:
    """Spread the maps of several images at once.

    On the CPU each image gets what :func:`affinity_walk` makes of it, to the
    bit; on a GPU up to the rounding of sums in double precision.

    Args:
        maps (Sequence[Tensor]): For each of N images the maps of its classes,
            (n, H, W).
        affinity (Tensor): Of :func:`feature_affinity`, (N, P,
            H - radius + 1, W - 2 * radius + 2).
        radius (int): See :func:`affinity_walk`. Defaults to 5.
        beta (float): The same. Defaults to 8.
        num_steps (int): The same. Defaults to 64.

    Returns:
        list[Tensor]: Spread maps of each image, (n, H, W) float32.

    Raises:
        ValueError: If the sizes do not agree.
    """
    reach = radius - 1
    for each, weights in zip(maps, affinity, strict=True):
        expected = (len(pair_offsets(radius)), each.shape[1] - reach,
                    each.shape[2] - 2 * reach)
        if weights.shape != expected:
            raise ValueError(
                f'maps {tuple(each.shape)} need an affinity of shape '
                f'{expected}, but got {tuple(weights.shape)}')
    # cells near the border are no sources: they have fewer neighbours
    everywhere = F.pad(affinity.double(), (reach, reach, 0, reach))
    walked = walk([each.double() for each in maps], everywhere**beta, radius,
                  num_steps)
    return [each.float() for each in walked]
