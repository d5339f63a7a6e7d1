"""Gaussian filtering in many dimensions, as sparse matrices."""
import math

import numpy as np
from scipy import sparse


class PermutohedralLattice:
    r"""Filter values of points by a Gaussian kernel of their features.

    The sum over all pairs of points is approximated on the permutohedral
    lattice (https://doi.org/10.1111/j.1467-8659.2009.01645.x), in time
    linear in the number of points: values are spread to the corners of the
    simplex around each point (splat), blurred along each of the d + 1 axes
    of the lattice, and read back with the same weights (slice). All three
    are sparse matrices here. Only corners of some simplex exist; the others
    count as zero.

    Args:
        features (np.ndarray): Coordinates of shape (d, N), float32, in units
            of the deviation of the kernel.
    """

    def __init__(self, features: np.ndarray) -> None:
        dims, num_points = features.shape
        keys, weights, strides = _simplices(features)
        corners, index = np.unique(keys, return_inverse=True)
        self._slice = sparse.csr_array(
            (weights.ravel(), index.astype(np.int32).ravel(),
             np.arange(0, weights.size + 1, dims + 1, dtype=np.int32)),
            shape=(num_points, len(corners)))
        self._blurs = _blurs(corners, strides)
        # Symmetric normalisation: K becomes D^-1/2 K D^-1/2, where D has the
        # row sums of K. Constant factors of K cancel.
        sums = self.filter(np.ones((num_points, 1), np.float32))
        self._slice.data *= np.repeat(sums**-.5, dims + 1)

    def filter(self, values: np.ndarray) -> np.ndarray:
        """Filter values of shape (N, L), float32, each column by itself."""
        # The transpose shares its memory.
        lattice = self._slice.T @ values
        for blur in self._blurs:
            lattice = blur @ lattice
        return self._slice @ lattice


def _simplices(
        features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the simplex of the lattice around each point.

    A corner is an integer vector of d + 1 coordinates with sum 0 that are
    all equal modulo d + 1; this remainder numbers the corners of a simplex.
    With it and the quotients of the first d coordinates, which determine
    the last, a corner is packed to one integer.

    Returns:
        tuple: Packed corners (N, d + 1) int64, ordered by remainder; their
        barycentric weights (N, d + 1) float32; value of one more in each
        quotient (d + 1, ) int64, 0 for the last.
    """
    dims, num_points = features.shape
    size = dims + 1
    # Embed the points in the plane of zero sum, scaled such that splat, blur
    # and slice together have the deviation of the kernel.
    scaled = np.empty((size, num_points), np.float32)
    total = np.zeros(num_points, np.float32)
    for i in range(dims, 0, -1):
        part = features[i - 1] * (size * math.sqrt(2 / 3 / i / (i + 1)))
        scaled[i] = total - i * part
        total += part
    scaled[0] = total

    # The nearest point of remainder 0 follows from rounding all coordinates;
    # where the sum is not zero, those that were rounded farthest are moved.
    quotient = np.rint(scaled / size)
    residual = scaled - quotient * size
    rank = np.zeros((size, num_points), np.int8)  # 0 for the largest
    for i in range(size):
        for j in range(i + 1, size):
            less = residual[i] < residual[j]
            rank[i] += less
            rank[j] += ~less
    rank += quotient.sum(axis=0).astype(np.int8)
    move = (rank < 0).astype(np.int8) - (rank >= size)
    rank += move * np.int8(size)
    quotient += move
    residual = scaled / size - quotient
    order = np.empty((size, num_points), np.intp)  # coordinate of each rank
    np.put_along_axis(
        order, rank.astype(np.intp), np.arange(size)[:, None], axis=0)

    ordered = np.take_along_axis(residual, order, axis=0)
    weights = np.empty_like(scaled)
    weights[0] = 1 + ordered[-1] - ordered[0]
    weights[1:] = (ordered[:-1] - ordered[1:])[::-1]

    quotient = quotient[:dims].astype(np.int64)
    # room for the step from the last remainder to the first and for a
    # neighbour on either side
    low, high = quotient.min(axis=1) - 2, quotient.max(axis=1) + 2
    extents = [int(extent) for extent in high - low + 1]
    if math.prod(extents) * size >= 2**63:
        raise ValueError(
            'the deviations of the kernels are too small: about '
            f'2^{math.log2(math.prod(extents)):.0f} cells over the image '
            'cannot be numbered; take larger ones')
    strides = np.array(
        [*(math.prod(extents[i + 1:]) * size for i in range(dims)), 0],
        np.int64)
    keys = np.empty((size, num_points), np.int64)
    keys[0] = strides[:dims] @ (quotient - low[:, None])
    # Each further corner is one up in all coordinates, but down by d in the
    # smallest that is left.
    for i in range(1, size):
        keys[i] = keys[i - 1] + 1 - strides[order[size - i]]
    return (np.ascontiguousarray(keys.T), np.ascontiguousarray(weights.T),
            strides)


def _blurs(corners: np.ndarray, strides: np.ndarray) -> list[sparse.csr_array]:
    """Make one matrix per axis with the weights 1/2, 1, 1/2.

    Args:
        corners (np.ndarray): Sorted, packed corners, (M, ) int64.
        strides (np.ndarray): As of :func:`_simplices`.
    """
    size, num = len(strides), len(corners)
    # One up in all coordinates; from the last remainder to the first, the
    # quotients grow instead.
    up = corners + np.where(corners % size == size - 1,
                            strides.sum() - size + 1, 1)
    ids = np.arange(num, dtype=np.int32)
    blurs = []
    for stride in strides:
        target = up - stride  # but down by d in the coordinate of this axis
        found = np.searchsorted(corners, target).clip(max=num - 1)
        exists = corners[found] == target
        here, there = ids[exists], found[exists].astype(np.int32)
        half = np.full(2 * len(here), .5, np.float32)
        values = np.concatenate([np.ones(num, np.float32), half])
        rows = np.concatenate([ids, here, there])
        columns = np.concatenate([ids, there, here])
        blurs.append(
            sparse.csr_array((values, (rows, columns)), shape=(num, num)))
    return blurs
