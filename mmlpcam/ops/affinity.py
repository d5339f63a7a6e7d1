"""Affinities of pairs of cells, from a boundary map (IRN, Sec. 4 and 5)."""
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_LOG_EPS = 1e-5
_MEAN_EPS = 1e-5


@lru_cache
def pair_offsets(radius: int) -> tuple[tuple[int, int], ...]:
    """List the neighbours that a cell is paired with.

    They fill half a disc, since a pair has no direction: 34 offsets at
    radius 5, 152 at radius 10.

    Args:
        radius (int): Cells; offsets are shorter than it.

    Returns:
        tuple[tuple[int, int], ...]: (dy, dx) with dy >= 0, ascending.

    Raises:
        ValueError: If the radius leaves no neighbour.
    """
    if radius < 2:
        raise ValueError(f'`radius` must be at least 2, but is {radius}')
    return tuple((dy, dx) for dy in range(radius)
                 for dx in range(1 - radius if dy else 1, radius)
                 if dy * dy + dx * dx < radius * radius)


@lru_cache
def path_cells(dy: int, dx: int) -> tuple[tuple[int, int], ...]:
    """List the cells between two cells, with both ends.

    Args:
        dy (int): Rows from the first cell to the second.
        dx (int): Columns from the first cell to the second.

    Returns:
        tuple[tuple[int, int], ...]: (y, x) relative to the first cell: the
        cells of the bounding rectangle whose distance to the line through
        both ends is below 1.
    """
    rows = range(min(dy, 0), max(dy, 0) + 1)
    columns = range(min(dx, 0), max(dx, 0) + 1)
    return tuple((y, x) for y in rows for x in columns
                 if (dy * x - dx * y)**2 < dy * dy + dx * dx)


def pair_affinity(edge: Tensor, radius: int) -> Tensor:
    r"""Compute the affinity of each cell to its neighbours.

    :math:`a_{ij} = 1 - \max_{k \in \Pi_{ij}} B(k)`, the highest boundary on
    the path between the two (IRN, arXiv 1904.05044, Eq. 6). Sources are the
    cells whose neighbours all lie inside.

    Memory: the result and one more array of its size. (A gather over the
    2134 path cells of radius 10, as in the official code, needs fourteen
    times as much, and gradients on top.)

    Args:
        edge (Tensor): Boundary map B of shape (N, H, W), in [0, 1].
        radius (int): See :func:`pair_offsets`.

    Returns:
        Tensor: (N, P, H - radius + 1, W - 2 * radius + 2) in [0, 1], in the
        order of :func:`pair_offsets`. The source at [y, x] is the cell
        (y, x + radius - 1).

    Raises:
        ValueError: If the map is too small for the radius.
    """
    return _PairAffinity.apply(edge, radius)


class _PairAffinity(torch.autograd.Function):
    """One maximum per path; its gradient goes to the first cell with it."""

    @staticmethod
    def forward(ctx, edge: Tensor, radius: int) -> Tensor:
        size = _source_size(edge.shape[-2:], radius)
        affinity = edge.new_empty(edge.shape[0], len(pair_offsets(radius)),
                                  *size)
        for highest, cells in zip(
                affinity.unbind(1), _paths(edge, radius, size)):
            highest.copy_(next(cells))
            for cell in cells:
                torch.maximum(highest, cell, out=highest)
        affinity.neg_().add_(1)
        ctx.save_for_backward(edge, affinity)
        ctx.radius = radius
        return affinity

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        edge, affinity = ctx.saved_tensors
        size = affinity.shape[-2:]
        grad_edge = torch.zeros_like(edge)
        paths = zip(
            affinity.unbind(1), grad.unbind(1), _paths(edge, ctx.radius, size),
            _paths(grad_edge, ctx.radius, size))
        for highest, flow, cells, grad_cells in paths:
            flow = -flow
            for cell, grad_cell in zip(cells, grad_cells):
                hit = (1 - cell) == highest
                grad_cell += flow * hit
                flow = flow.masked_fill(hit, 0)
        return grad_edge, None


def _paths(plane: Tensor, radius: int,
           size: tuple[int, int]) -> Iterator[Iterator[Tensor]]:
    """For each offset, views of the plane: its path cells of all sources."""
    height, width = size
    for dy, dx in pair_offsets(radius):
        yield (plane[:, y:y + height, x + radius - 1:x + radius - 1 + width]
               for y, x in path_cells(dy, dx))


def _source_size(size: Sequence[int], radius: int) -> tuple[int, int]:
    height, width = size[0] - radius + 1, size[1] - 2 * radius + 2
    if height < 1 or width < 1:
        raise ValueError(
            f'a grid of {tuple(size)} cells (H, W) is too small for pairs of '
            f'radius {radius}: take larger crops or a smaller radius')
    return height, width


def source_and_neighbors(plane: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Cut a plane into what the pairs of :func:`pair_affinity` join.

    Args:
        plane (Tensor): Values of shape (N, ..., H, W).
        radius (int): See :func:`pair_offsets`.

    Returns:
        tuple[Tensor, Tensor]: Values of the sources, (N, ..., 1, h, w), and
        of their neighbours, (N, ..., P, h, w).
    """
    height, width = _source_size(plane.shape[-2:], radius)
    start = radius - 1

    def cut(y: int, x: int) -> Tensor:
        return plane[..., y:y + height, x + start:x + start + width]

    return cut(0, 0).unsqueeze(-3), torch.stack(
        [cut(y, x) for y, x in pair_offsets(radius)], -3)


class PairKinds(NamedTuple):
    """Which pairs attract and which repel each other.

    Attributes:
        bg_pos (Tensor): (N, P, h, w) bool, both cells are background.
        fg_pos (Tensor): The same, both are of one foreground class.
        neg (Tensor): The same, the two are of different classes.
    """
    bg_pos: Tensor
    fg_pos: Tensor
    neg: Tensor


def pair_kinds(labels: Tensor, radius: int, num_classes: int) -> PairKinds:
    """Sort pairs by the labels of their cells.

    Args:
        labels (Tensor): Confident labels of shape (N, H, W), integers; 0 is
            the background, values >= num_classes are not trusted.
        radius (int): See :func:`pair_offsets`.
        num_classes (int): Number of classes with the background.

    Returns:
        PairKinds: Masks; a pair with a cell that is not trusted is in none.
    """
    source, other = source_and_neighbors(labels, radius)
    trusted = (source < num_classes) & (other < num_classes)
    same = trusted & (source == other)
    return PairKinds(same & (source == 0), same & (source > 0),
                     trusted & (source != other))


def affinity_loss(affinity: Tensor, kinds: PairKinds) -> dict[str, Tensor]:
    """Compute the affinity loss of IRN (arXiv 1904.05044, Eq. 7).

    Positive pairs of the background, of the foreground and negative pairs
    count 1/4, 1/4 and 1/2; each is a mean over the batch, zero where there
    is no such pair. So gradient accumulation, which averages the losses of
    batches, is close to one large batch, but not the same.

    Args:
        affinity (Tensor): (N, P, h, w) in [0, 1].
        kinds (PairKinds): Kinds of these pairs.

    Returns:
        dict[str, Tensor]: 'loss_bg_pos', 'loss_fg_pos' and 'loss_neg', with
        these weights; their sum is the loss.
    """
    wanted = torch.where(kinds.neg, 1 - affinity, affinity)
    loss = -(wanted + _LOG_EPS).log()
    return dict(
        loss_bg_pos=masked_mean(loss, kinds.bg_pos) / 4,
        loss_fg_pos=masked_mean(loss, kinds.fg_pos) / 4,
        loss_neg=masked_mean(loss, kinds.neg) / 2)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average the values under a mask, zero where it is empty.

    Args:
        values (Tensor): Any shape.
        mask (Tensor): Bool, of the same shape.

    Returns:
        Tensor: Scalar.
    """
    return (values * mask).sum() / (mask.sum() + _MEAN_EPS)
