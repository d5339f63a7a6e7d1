"""Propagation of maps inside object boundaries (IRN, Sec. 5)."""
import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity import pair_affinity, pair_offsets
from .csr_matrix import csr_matrix

_EPS = 1e-12


@torch.no_grad()
def random_walk(maps: Tensor,
                edge: Tensor,
                *,
                radius: int = 5,
                beta: float = 10.,
                num_steps: int = 256,
                average: bool = False) -> Tensor:
    r"""Spread maps by a random walk that boundaries stop.

    With :math:`a_{ij}` of :func:`pair_affinity` (1 for the cell itself) and
    the transition matrix :math:`T = D^{-1} A^{\circ\beta}`, the result is
    :math:`T^t \mathrm{vec}(M \odot (1 - B))` (IRN, arXiv 1904.05044, Eq. 8
    to 10).

    The official code squares the dense matrix log2(t) times: 8 (HW)^3
    multiply-adds. Multiplying the maps t times by the sparse matrix gives
    the same: at most 69 HW of them per map and step at radius 5, and memory
    linear in the cells.

    Args:
        maps (Tensor): Strided maps M of the n classes of an image, (n, H, W).
        edge (Tensor): Boundary map B, (H, W) in [0, 1].
        radius (int): See :func:`pair_offsets`. Defaults to 5.
        beta (float): Power of the affinities. Defaults to 10.
        num_steps (int): Steps t of the walk. Defaults to 256.
        average (bool): Whether to divide by what arrives of a map that is 1
            everywhere. Cells then get an average of the map, weighted by
            :math:`1 - B`; otherwise, as in IRN, regions full of boundaries
            fade: right where these are outlines, wrong where texture is
            taken for them. Defaults to False.

    Returns:
        Tensor: Spread maps, (n, H, W) float32.

    Raises:
        ValueError: If the sizes differ, or `beta` is not positive.
    """
    if beta <= 0:
        raise ValueError(f'`beta` must be positive, but is {beta}')
    if maps.ndim != 3 or maps.shape[1:] != edge.shape:
        raise ValueError(
            'expected `maps` (n, H, W) and `edge` (H, W) on one grid, but got '
            f'{tuple(maps.shape)} and {tuple(edge.shape)}')
    # 256 steps add up the rounding: 3e-4 of the result in single precision
    transition = transition_matrix(edge.double(), radius=radius, beta=beta)
    planes = maps.double()
    if average:
        planes = torch.cat([planes, planes.new_ones(1, *edge.shape)])
    walker = (planes * (1 - edge.double())).flatten(1).t().contiguous()
    for _ in range(num_steps if len(maps) else 0):
        walker = transition @ walker
    walked = walker.t().reshape(planes.shape)
    if average:
        walked = walked[:-1] / walked[-1:].clamp_min(_EPS)
    return walked.float()


def transition_matrix(edge: Tensor, *, radius: int, beta: float) -> Tensor:
    """Build the matrix of one step.

    Args:
        edge (Tensor): Boundary map, (H, W) float in [0, 1].
        radius (int): See :func:`pair_offsets`.
        beta (float): Power of the affinities.

    Returns:
        Tensor: Sparse CSR (HW, HW), of the type of the boundary map; rows
        add up to 1.
    """
    reach = radius - 1
    # a boundary around the image: no walk leaves it
    walled = F.pad(edge, (reach, reach, 0, reach), value=1.)
    return transition_of_pairs(
        pair_affinity(walled[None], radius)[0]**beta, radius)


def transition_of_pairs(affinity: Tensor, radius: int) -> Tensor:
    """Build the matrix of one step from the weights of pairs.

    Args:
        affinity (Tensor): Weights >= 0 of the pairs of each cell, (P, H, W),
            in the order of :func:`pair_offsets`; 0 where the other cell is
            outside.
        radius (int): See :func:`pair_offsets`.

    Returns:
        Tensor: Sparse CSR (HW, HW), of the type of the weights; a cell has
        the weight 1 for itself, and rows add up to 1.
    """
    height, width = affinity.shape[1:]
    cells = torch.arange(height * width, device=affinity.device)
    steps = torch.tensor([dy * width + dx for dy, dx in pair_offsets(radius)],
                         device=affinity.device)
    linked = affinity.flatten(1) > 0
    source = cells.expand_as(linked)[linked]
    target = (cells + steps[:, None])[linked]
    weight = affinity.flatten(1)[linked]
    itself = torch.ones_like(affinity[0]).flatten()
    weights = torch.cat([itself, weight, weight])
    rows = torch.cat([cells, source, target])
    columns = torch.cat([cells, target, source])
    degree = torch.zeros_like(itself).index_add_(0, rows, weights)
    order = (rows * len(cells) + columns).argsort()
    starts = F.pad(rows.bincount().cumsum(0), (1, 0))
    return csr_matrix(starts, columns[order], (weights / degree[rows])[order],
                      len(cells))
