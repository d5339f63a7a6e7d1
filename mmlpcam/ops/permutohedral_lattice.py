"""Gaussian filtering in many dimensions."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .csr_matrix import csr_matrix

# A row of so many values is gathered as one number of that size, which is
# several times as fast on the CPU as a row of a matrix.
_ROWS = {1: torch.float32, 2: torch.float64, 4: torch.complex128}


class PermutohedralLattice:
    r"""Filter values of points by a Gaussian kernel of their features.

    The sum over all pairs of points is approximated on the permutohedral
    lattice (https://doi.org/10.1111/j.1467-8659.2009.01645.x), in time
    linear in the number of points: values are spread to the corners of the
    simplex around each point (splat), blurred along each of the d + 1 axes
    of the lattice, and read back with the same weights (slice). Only corners
    of some simplex exist; the others count as zero.

    Args:
        features (Tensor): Coordinates of shape (d, N), float32, in units of
            the deviation of the kernel.
        images (Tensor): Number of the image of each point, (N, ) int64 from
            0 on. Points of different images do not meet.

    Raises:
        ValueError: If the features span too many cells to be numbered.
    """

    def __init__(self, features: Tensor, images: Tensor) -> None:
        dims, num_points = features.shape
        size = dims + 1
        cells, order, weights, strides = _simplices(features, images)
        corners, index = _number_corners(cells, order, strides)
        self._neighbors = _neighbors(corners, strides)
        # One more corner stands for all that do not exist. It is numbered
        # last, the others by their remainder first.
        num_corners = len(corners) + 1
        counts = index.flatten().bincount(minlength=num_corners)
        ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        starts = torch.arange(
            0, index.numel() + 1, size, device=features.device)
        by_corner = index.flatten().argsort(stable=True)
        points = by_corner.view(size, -1) - num_points * _column(size, index)

        self._splat = csr_matrix(ends, points.flatten(),
                                 weights.flatten().index_select(0, by_corner),
                                 num_points)
        self._slice = csr_matrix(starts,
                                 index.t().flatten(),
                                 weights.t().flatten(), num_corners)
        # Symmetric normalisation: K becomes D^-1/2 K D^-1/2, where D has the
        # row sums of K. Constant factors of K cancel.
        roots = self.filter(features.new_ones(num_points, 1)).rsqrt()
        self._splat.values().mul_(roots[points.flatten(), 0])
        self._slice.values().view(num_points, size).mul_(roots)

    def filter(self, values: Tensor) -> Tensor:
        """Filter values of shape (N, C), float32, each column by itself."""
        return torch.cat(
            [self._filter_columns(columns) for columns in values.split(4, 1)],
            1)

    def _filter_columns(self, values: Tensor) -> Tensor:
        num = values.shape[1]
        if num == 3:
            values = F.pad(values, (0, 1))
        lattice = (self._splat @ values.contiguous()).contiguous()
        rows = lattice.view(_ROWS[values.shape[1]])[:, 0]
        for above, below in self._neighbors:
            up = rows.index_select(0, above)
            down = rows.index_select(0, below)
            for near in (up, down):
                lattice.add_(near[:, None].view(torch.float32), alpha=.5)
        return (self._slice @ lattice)[:, :num]


def _simplices(features: Tensor,
               images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find the simplex of the lattice around each point.

    A corner is an integer vector of d + 1 coordinates with sum 0 that are
    all equal modulo d + 1; this remainder numbers the corners of a simplex.
    With it and the quotients of the first d coordinates, which determine
    the last, a corner is packed to one integer.

    Returns:
        tuple: Packed corner of remainder 0 of each point, (N, ) int64;
        coordinates from the farthest above it to the farthest below,
        (d + 1, N) int64; barycentric weights of the corners by remainder,
        (d + 1, N) float32; value of one more in the remainder and in each
        quotient but the last, which has none: 0, (d + 2, ) int64.
    """
    dims, num_points = features.shape
    size = dims + 1
    # Embed the points in the plane of zero sum, scaled such that splat, blur
    # and slice together have the deviation of the kernel.
    scaled = features.new_empty(size, num_points)
    total = features.new_zeros(num_points)
    for i in range(dims, 0, -1):
        part = features[i - 1] * (size * math.sqrt(2 / 3 / i / (i + 1)))
        scaled[i] = total - i * part
        total = total + part
    scaled[0] = total
    scaled /= size

    # The nearest point of remainder 0 follows from rounding all coordinates;
    # where the sum is not zero, those that were rounded farthest are moved
    # by one, and become the last or the first.
    quotient = scaled.round()
    above = scaled - quotient
    rank = quotient.sum(0).to(torch.int8).repeat(size, 1)
    for i in range(size):
        for j in range(i + 1, size):
            less = above[i] < above[j]
            rank[i] += less
            rank[j] += ~less
    moved = (rank < 0).to(torch.int8) - (rank >= size).to(torch.int8)
    rank += moved * size
    quotient += moved
    above -= moved
    ranks = rank.long()
    order = torch.empty_like(ranks).scatter_(
        0, ranks,
        _column(size, ranks).expand_as(ranks))
    above = torch.empty_like(above).scatter_(0, ranks, above)
    weights = torch.empty_like(above)
    weights[0] = 1 + above[-1] - above[0]
    weights[1:] = (above[:-1] - above[1:]).flip(0)

    digits = quotient[:dims].long()
    # room for the step from the last remainder to the first and for a
    # neighbour on either side
    low, high = digits.amin(1) - 2, digits.amax(1) + 2
    digits = torch.cat([images[None], digits - low[:, None]])
    extents = [int(images.max()) + 1, *(high - low + 1).tolist()]
    if math.prod(extents) * size >= 2**63:
        raise ValueError(
            'the deviations of the kernels are too small: about '
            f'2^{math.log2(math.prod(extents)):.0f} cells over the images '
            'cannot be numbered; take larger ones')
    places = [math.prod(extents[i:]) for i in range(len(extents) + 1)]
    cells = torch.zeros_like(images)
    for digit, place in zip(digits, places[1:]):
        cells += digit * place
    strides = torch.tensor([places[0], *places[-dims:], 0],
                           device=features.device)
    return cells, order, weights, strides


def _number_corners(cells: Tensor, order: Tensor,
                    strides: Tensor) -> tuple[Tensor, Tensor]:
    """Find all corners, and number them by remainder, then by place.

    Few corners of remainder 0 occur, and from each of them the others are
    reached by a step down in a subset of the coordinates. Marking these in a
    table spares most of the sorting.

    Args:
        cells (Tensor): As of :func:`_simplices`.
        order (Tensor): The same.
        strides (Tensor): The same.

    Returns:
        tuple: Packed corners in order (M, ) int64; number of each corner of
        a point by remainder, (d + 1, N) int32.
    """
    size = len(order)
    bases, base = torch.unique(cells, return_inverse=True)
    slots = torch.empty_like(order)
    slots[0] = base << size
    for i in range(1, size):
        slots[i] = slots[i - 1] + (1 << order[size - i])
    flat = slots.flatten()
    marked = torch.zeros(
        len(bases) << size, dtype=torch.bool, device=cells.device)
    taken = marked.index_fill_(0, flat, True).nonzero()[:, 0]
    subsets = torch.arange(1 << size, device=cells.device)
    bits = subsets >> _column(size, subsets) & 1
    steps = (bits * (strides[0] - strides[1:, None])).sum(0)
    corners, number = torch.unique(
        bases.index_select(0, taken >> size) +
        steps.index_select(0, taken & (1 << size) - 1),
        return_inverse=True)
    table = torch.empty_like(marked, dtype=torch.int32)
    table.index_copy_(0, taken, number.int())
    return corners, table.index_select(0, flat).view(slots.shape)


def _neighbors(corners: Tensor,
               strides: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Find the two neighbours of each corner along each axis.

    Args:
        corners (Tensor): Sorted, packed corners, (M, ) int64.
        strides (Tensor): As of :func:`_simplices`.

    Returns:
        list[tuple[Tensor, Tensor]]: Per axis, numbers of the corners above
        and below, (M + 1, ) int32; M for one that does not exist, and for
        its own neighbours.
    """
    num, axes = len(corners), strides[1:]
    # One up in all coordinates; from the last remainder to the first, the
    # quotients grow instead.
    last = (len(axes) - 1) * strides[0]
    up = corners + torch.where(corners >= last, axes.sum() - last, strides[0])
    ids = torch.arange(num + 1, device=corners.device, dtype=torch.int32)
    nowhere = torch.full_like(ids, num)
    neighbors = []
    for stride in axes:
        target = up - stride  # but down by d in the coordinate of this axis
        found = torch.searchsorted(corners, target, out_int32=True)
        exists = corners.index_select(0, found.clamp_max(num - 1)) == target
        above = nowhere.clone()
        torch.where(exists, found, nowhere[:-1], out=above[:-1])
        below = nowhere.index_copy(0, above.long(), ids)
        below[-1] = num
        neighbors.append((above, below))
    return neighbors


def _column(size: int, like: Tensor) -> Tensor:
    """Numbers from 0 on, (size, 1) int64."""
    return torch.arange(size, device=like.device)[:, None]
