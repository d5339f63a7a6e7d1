"""Propagation of maps inside object boundaries (IRN, Sec. 5)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity import pair_affinity, pair_offsets
from .csr_matrix import csr_matrix

_EPS = 1e-12
# Cells of images that walk at once; one takes some 3 kB at radius 5. On the
# CPU steps take half the time while the matrix stays in the cache.
_MAX_CELLS = 2**18
_MAX_CELLS_CPU = 2**14
# MKL adds up in an order that depends on the number of columns. With always
# the same number a map walks alike, whatever walks beside it.
_COLUMNS = 4


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
    return random_walk_many([maps],
                            edge[None],
                            radius=radius,
                            beta=beta,
                            num_steps=num_steps,
                            average=average)[0]


@torch.no_grad()
def random_walk_many(maps: Sequence[Tensor],
                     edges: Tensor,
                     *,
                     radius: int = 5,
                     beta: float = 10.,
                     num_steps: int = 256,
                     average: bool = False) -> list[Tensor]:
    """Spread the maps of several images at once.

    On the CPU each image gets what :func:`random_walk` makes of it, to the
    bit; on a GPU up to the rounding of sums in double precision.

    Args:
        maps (Sequence[Tensor]): For each of N images the strided maps of its
            classes, (n, H, W).
        edges (Tensor): Boundary maps, (N, H, W) in [0, 1].
        radius (int): See :func:`random_walk`. Defaults to 5.
        beta (float): The same. Defaults to 10.
        num_steps (int): The same. Defaults to 256.
        average (bool): The same. Defaults to False.

    Returns:
        list[Tensor]: Spread maps of each image, (n, H, W) float32.

    Raises:
        ValueError: If the sizes differ, or `beta` is not positive.
    """
    if beta <= 0:
        raise ValueError(f'`beta` must be positive, but is {beta}')
    for each, edge in zip(maps, edges, strict=True):
        if each.ndim != 3 or each.shape[1:] != edge.shape:
            raise ValueError(
                'expected `maps` (n, H, W) and `edge` (H, W) on one grid, but '
                f'got {tuple(each.shape)} and {tuple(edge.shape)}')
    # 256 steps add up the rounding: 3e-4 of the result in single precision
    edges = edges.double()
    planes = [each.double() for each in maps]
    if average:
        planes = [
            torch.cat([each, torch.ones_like(edges[:1])]) for each in planes
        ]
    planes = walk([each * (1 - edge) for each, edge in zip(planes, edges)],
                  _walled_affinity(edges, radius)**beta, radius, num_steps)
    if average:
        planes = [each[:-1] / each[-1:].clamp_min(_EPS) for each in planes]
    return [each.float() for each in planes]


def walk(maps: Sequence[Tensor], affinity: Tensor, radius: int,
         num_steps: int) -> list[Tensor]:
    """Walk along the weights of pairs, several images at once.

    Their cells are those of one matrix, block by block: on a GPU those of
    many images, on the CPU those of small ones.

    Args:
        maps (Sequence[Tensor]): Maps of each of N images, (n, H, W).
        affinity (Tensor): Weights of their pairs, (N, P, H, W) of the type
            of the maps, see :func:`transition_of_pairs`.
        radius (int): See :func:`pair_offsets`.
        num_steps (int): Steps of the walk.

    Returns:
        list[Tensor]: What arrives at each cell, of the shapes of the maps.
    """
    height, width = affinity.shape[2:]
    most = max(len(each) for each in maps)
    columns = -(-most // _COLUMNS) * _COLUMNS
    most_cells = (
        _MAX_CELLS_CPU if affinity.device.type == 'cpu' else _MAX_CELLS)
    at_once = max(1, most_cells // (height * width))
    walked: list[Tensor] = []
    for first in range(0, len(maps) if most else 0, at_once):
        some = maps[first:first + at_once]
        transition = transition_of_pairs(affinity[first:first + at_once],
                                         radius)
        starts = torch.cat([
            F.pad(each.flatten(1).t(), (0, columns - len(each)))
            for each in some
        ])
        ends = []
        for walker in starts.split(_COLUMNS, 1):
            walker = walker.contiguous()
            for _ in range(num_steps):
                walker = transition @ walker
            ends.append(walker)
        planes = torch.cat(ends, 1).view(len(some), height, width, columns)
        walked += [
            plane[..., :len(each)].permute(2, 0, 1)
            for plane, each in zip(planes, some)
        ]
    return walked if most else list(maps)


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
    return transition_of_pairs(
        _walled_affinity(edge[None], radius)**beta, radius)


def _walled_affinity(edges: Tensor, radius: int) -> Tensor:
    """Affinity (N, P, H, W) of all cells; no pair leaves the image."""
    reach = radius - 1
    return pair_affinity(
        F.pad(edges, (reach, reach, 0, reach), value=1.), radius)


def transition_of_pairs(affinity: Tensor, radius: int) -> Tensor:
    """Build the matrix of one step from the weights of pairs.

    Args:
        affinity (Tensor): Weights >= 0 of the pairs of each cell of N images,
            (N, P, H, W), in the order of :func:`pair_offsets`; 0 where the
            other cell is outside.
        radius (int): See :func:`pair_offsets`.

    Returns:
        Tensor: Sparse CSR (NHW, NHW), of the type of the weights; a cell has
        the weight 1 for itself, rows add up to 1, and cells of different
        images do not meet.
    """
    width = affinity.shape[3]
    ahead = affinity.transpose(0, 1).flatten(1)
    cells = ahead.shape[1]
    steps = [dy * width + dx for dy, dx in pair_offsets(radius)]
    # The same pairs, seen from the other cell; what wraps around is outside,
    # and 0.
    behind = [each.roll(by) for each, by in zip(ahead, steps)]
    weights = torch.stack(
        [*behind[::-1], torch.ones_like(ahead[0]), *ahead], 1)
    # Where a grid is so narrow that steps are out of order, one of the two
    # cells is outside: columns always ascend.
    reach = torch.tensor(
        [-by for by in steps[::-1]] + [0] + steps,
        dtype=torch.int32,
        device=affinity.device)
    linked = weights > 0
    columns = torch.arange(
        cells, dtype=torch.int32, device=affinity.device)[:, None] + reach
    starts = F.pad(linked.sum(1).cumsum(0), (1, 0))
    weights /= weights.sum(1, keepdim=True)
    return csr_matrix(starts, columns[linked], weights[linked], cells)
