"""The points that one rank clusters, and the sums over their clusters."""
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

NORM_EPS = 1e-8
# A chunk of 2048 float32 channels stays in the cache of a CPU; a GPU has
# less to start with few chunks.
_CPU_CHUNK, _GPU_CHUNK = 1024, 65536


class LocalPoints:
    """Points of one set on this rank, with the cluster of each.

    Args:
        points (Tensor): (N, D), any floating type. It is not copied; each
            chunk is brought to float32 when its turn comes.
        num_clusters (int): Number of clusters K.
        keys (Tensor, optional): See :func:`~mmlpcam.ops.kmeans`.
        weights (Tensor, optional): See :func:`~mmlpcam.ops.kmeans`.
        chunk_size (int, optional): See :func:`~mmlpcam.ops.kmeans`.

    Attributes:
        norms (Tensor): Lengths, (N, ) float32.
        valid (Tensor): Whether a point has a direction, (N, ) bool.
        labels (Tensor): (N, ) int64; -1 without a cluster.
        products (Tensor): Each point times the unit vector of its centre,
            (N, ) float32.
        sums (Tensor): (K, D + 2) float64: for each cluster the weighted sum
            of its members, their weight, and their number.
    """

    def __init__(self,
                 points: Tensor,
                 num_clusters: int,
                 keys: Tensor | None = None,
                 weights: Tensor | None = None,
                 chunk_size: int | None = None) -> None:
        self.points = points
        self.keys = torch.arange(
            len(points), device=points.device) if keys is None else keys
        self.weights = weights
        self.chunk_size = chunk_size or (_CPU_CHUNK if points.device.type
                                         == 'cpu' else _GPU_CHUNK)
        self.norms = points.new_zeros(len(points), dtype=torch.float32)
        for rows in self._chunks():
            self.norms[rows] = points[rows].float().norm(dim=1)
        self.valid = self.norms > NORM_EPS
        self.labels = torch.full_like(self.keys, -1)
        self.products = torch.zeros_like(self.norms)
        self.sums = points.new_zeros(
            num_clusters, points.shape[1] + 2, dtype=torch.float64)

    def assign(self, centers: Tensor) -> None:
        """Give each point to the nearest centre, and bring the sums along.

        Each point is read once. A point that changes its cluster is read
        again: the sums change by such points only.

        Args:
            centers (Tensor): (K', D) float32, K' at most K.
        """
        # The length of a point does not change which centre is nearest.
        unit = F.normalize(centers, dim=1, eps=NORM_EPS).t()
        before = self.labels
        self.labels = torch.empty_like(before)
        for rows in self._chunks():
            nearest = (self.points[rows].float() @ unit).max(dim=1)
            self.products[rows], self.labels[rows] = nearest
        self.labels.masked_fill_(~self.valid, -1)
        moved = torch.nonzero(self.labels != before).flatten()
        # slices are views; indices would copy almost everything
        mostly = 2 * len(moved) > len(before)
        self._add(before,
                  self._chunks() if mostly else moved.split(self.chunk_size))

    def sum_up(self) -> None:
        """Sum the members up anew, without what the rounds have rounded."""
        self.sums.zero_()
        self._add(torch.full_like(self.labels, -1), self._chunks())

    def cosines(self, center: Tensor) -> Tensor:
        """Return the cosine of each point to one vector.

        Args:
            center (Tensor): (D, ) float32.

        Returns:
            Tensor: (N, ) float32; 0 for points without a direction.
        """
        unit = F.normalize(center, dim=0, eps=NORM_EPS)
        products = torch.zeros_like(self.norms)
        for rows in self._chunks():
            products[rows] = self.points[rows].float() @ unit
        return products / self.norms.clamp_min(NORM_EPS)

    def cosines_to_centers(self) -> Tensor:
        """Return the cosine of each point to the centre it was assigned to.

        Returns:
            Tensor: (N, ) float32; infinite for points without a direction.
        """
        return (self.products / self.norms.clamp_min(NORM_EPS)).masked_fill(
            ~self.valid, torch.inf)

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self.points), self.chunk_size):
            yield slice(start, start + self.chunk_size)

    def _add(self, before: Tensor, chunks: Iterable[slice | Tensor]) -> None:
        """Add to the sums what rows bring that had other labels before."""
        clusters = torch.arange(len(self.sums), device=before.device)

        def members(labels: Tensor) -> Tensor:
            return (labels[:, None] == clusters).float()

        for rows in chunks:
            shares = members(self.labels[rows]) - members(before[rows])
            weighted = shares
            if self.weights is not None:
                weighted = shares * self.weights[rows, None].float()
            self.sums[:, :-2] += weighted.t() @ self.points[rows].float()
            self.sums[:, -2] += weighted.double().sum(0)
            self.sums[:, -1] += shares.double().sum(0)
