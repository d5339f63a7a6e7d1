"""The points that one rank clusters, and the sums over their clusters."""
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

NORM_EPS = 1e-8
# A chunk of 2048 float32 channels stays in the cache of a CPU; a GPU has
# less to start with few chunks.
_CPU_CHUNK, _GPU_CHUNK = 1024, 65536
_ROUGH_CHUNK = 8192
# how far bfloat16 is from a number, relative to it
_ROUGH_EPS = torch.finfo(torch.bfloat16).eps / 2


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are much faster there, and sum in float32.

    Args:
        device (torch.device): Device of the factors.

    Returns:
        bool: True on a CPU with AMX. Of GPUs nothing was measured.
    """
    if device.type != 'cpu' or not torch.backends.mkldnn.is_available():
        return False
    # not in all versions of PyTorch
    capabilities: dict = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(capabilities.get('amx_bf16'))


class LocalPoints:
    """Points of one set on this rank, with the cluster of each.

    Args:
        points (Tensor): (N, D), any floating type. Each chunk is brought to
            float32 when its turn comes; there is a copy in bfloat16 where
            :func:`multiplies_bfloat16`.
        num_clusters (int): Number of clusters K.
        keys (Tensor, optional): See :func:`~mmlpcam.ops.kmeans`.
        weights (Tensor, optional): See :func:`~mmlpcam.ops.kmeans`.
        chunk_size (int, optional): See :func:`~mmlpcam.ops.kmeans`.

    Attributes:
        norms (Tensor): Lengths, (N, ) float32.
        valid (Tensor): Whether a point has a direction, (N, ) bool.
        labels (Tensor): (N, ) int64; -1 without a cluster.
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
        self._rough = torch.empty_like(
            points, dtype=torch.bfloat16) if multiplies_bfloat16(
                points.device) else None
        for rows in self._chunks():
            chunk = points[rows].float()
            self.norms[rows] = chunk.norm(dim=1)
            if self._rough is not None:
                self._rough[rows] = chunk
        self.valid = self.norms > NORM_EPS
        self.labels = torch.full_like(self.keys, -1)
        self.sums = points.new_zeros(
            num_clusters, points.shape[1] + 2, dtype=torch.float64)
        # by how much the cosine to the own centre is the highest, at least
        self._leads = torch.zeros_like(self.norms, dtype=torch.float64)
        # unit vectors of the centres, (D, K')
        self._directions = points.new_zeros(
            points.shape[1], num_clusters, dtype=torch.float32)

    def assign(self, centers: Tensor) -> None:
        """Give each point to the nearest centre, and bring the sums along.

        The cosine of a point to a centre changes by at most the distance
        that the unit vector of the centre moves. So a point is only read
        where its centre may have lost the lead that it had at the last
        reading: Hamerly's algorithm
        (https://doi.org/10.1137/1.9781611972801.12) with one bound, on the
        difference of the two highest cosines. Where there is a rough copy of
        the points, that is read first, and the points themselves where it
        cannot tell. The labels are those of reading all points. A point that
        changes its cluster is read once more.

        Args:
            centers (Tensor): (K', D) float32, K' at most K and the same in
                all calls.
        """
        # The length of a point does not change which centre is nearest.
        directions = F.normalize(centers, dim=1, eps=NORM_EPS).t().contiguous()
        moves = (directions.double() -
                 self._directions[:, :len(centers)]).norm(dim=0)
        self._directions = directions
        self._leads -= (moves + moves.max())[self.labels.clamp_min(0)]
        # more than rounding can add to the lead then and now
        doubt = 4 * (self.points.shape[1] + 8) * torch.finfo(torch.float32).eps
        before = self.labels.clone()
        doubtful = self.valid & ~(self._leads > doubt)
        # few are read as fast as the whole copy
        if self._rough is not None and 8 * doubtful.sum() > len(doubtful):
            doubtful = self._screen(self._rough, doubtful, doubt)
        for rows in self._batches(doubtful):
            highest, second, self.labels[rows] = _two_highest(
                self._products(rows))
            self._leads[rows] = ((highest - second) /
                                 self.norms[rows]).double()
        self.labels.masked_fill_(~self.valid, -1)
        self._update_sums(before)

    def _screen(self, points: Tensor, doubtful: Tensor,
                doubt: float) -> Tensor:
        """Assign what a rough copy can tell for sure.

        Args:
            points (Tensor): The copy, (N, D) bfloat16.
            doubtful (Tensor): Points to assign, (N, ) bool.
            doubt (float): What rounding in float32 can change of a cosine.

        Returns:
            Tensor: Those of them that are still to assign.
        """
        # A vector that all centres have in common adds the same to each
        # product; without it products, and what rounding does, are smaller.
        directions = self._directions - self._directions.mean(1, keepdim=True)
        rough = directions.bfloat16()
        # of a cosine: of the points, of the centres, of the sum
        error = (
            _ROUGH_EPS * directions.norm(dim=0).max() + (1 + _ROUGH_EPS) *
            (directions - rough.float()).norm(dim=0).max() + doubt)
        doubtful = doubtful.clone()
        # all of them: to pick some out takes longer
        for start in range(0, len(points), _ROUGH_CHUNK):
            rows = slice(start, start + _ROUGH_CHUNK)
            highest, second, labels = _two_highest(
                (points[rows] @ rough).float())
            # the products themselves are rounded as well
            rounded = 1.01 * _ROUGH_EPS * (highest.abs() + second.abs())
            leads = (highest - second - rounded) / self.norms[rows] - 2 * error
            sure = leads > doubt
            self.labels[rows] = torch.where(sure, labels, self.labels[rows])
            self._leads[rows] = torch.where(sure, leads.double(),
                                            self._leads[rows])
            doubtful[rows] &= ~sure
        return doubtful

    def sum_up(self) -> None:
        """Sum the members up anew, without what the rounds have rounded."""
        self.sums.zero_()
        self._update_sums(torch.full_like(self.labels, -1))

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
        cosines = torch.zeros_like(self.norms)
        for rows in self._chunks():
            own = self.labels[rows, None].clamp_min(0)
            cosines[rows] = self._products(rows).gather(1, own).squeeze(1)
        cosines /= self.norms.clamp_min(NORM_EPS)
        return cosines.masked_fill(~self.valid, torch.inf)

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self.points), self.chunk_size):
            yield slice(start, start + self.chunk_size)

    def _batches(self, chosen: Tensor) -> Iterable[slice | Tensor]:
        """Rows of the chosen points, among others where they are many."""
        indices = torch.nonzero(chosen).flatten()
        # slices are views; indices copy
        mostly = 2 * len(indices) > len(chosen)
        return self._chunks() if mostly else indices.split(self.chunk_size)

    def _read(self, rows: slice | Tensor) -> Tensor:
        points = self.points[rows] if isinstance(
            rows, slice) else self.points.index_select(0, rows)
        return points.float()

    def _products(self, rows: slice | Tensor) -> Tensor:
        """Points times unit vectors of the centres, (n, K)."""
        return self._read(rows) @ self._directions

    def _update_sums(self, before: Tensor) -> None:
        """Bring sums that were those of other labels to the labels now."""
        number = len(self.sums)
        for rows in self._batches(before != self.labels):
            points = self._read(rows)
            masses = points.new_ones(len(points), 2, dtype=torch.float64)
            if self.weights is not None:
                weights = self.weights[rows, None].float()
                points, masses[:, :1] = points * weights, weights
            labels = before[rows], self.labels[rows]
            self.sums[:, :-2] += _change(points, *labels, number)
            self.sums[:, -2:] += _change(masses, *labels, number)


def _two_highest(products: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two highest of each row (n, K), changed, and where the first is."""
    highest, labels = products.max(dim=1)
    second = products.scatter_(1, labels[:, None], -torch.inf).amax(1)
    return highest, second, labels


def _change(values: Tensor, before: Tensor, after: Tensor,
            number: int) -> Tensor:
    """By how much sums of values (n, C) of each label change, (number, C)."""
    if values.device.type == 'cpu':
        # the last row takes those without a label
        sums = values.new_zeros(number + 1, values.shape[1])
        sums.index_add_(0, after.remainder(number + 1), values)
        if (before >= 0).any():
            sums.index_add_(0, before.remainder(number + 1), values, alpha=-1)
        return sums[:-1]
    # There index_add_ would add in any order, which rounds differently.
    labels = torch.arange(number, device=values.device)[:, None]
    shares = (after == labels).to(values) - (before == labels).to(values)
    return shares @ values
