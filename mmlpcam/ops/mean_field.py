"""Mean field inference in a fully connected CRF, on any device."""
from collections.abc import Sequence
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .permutohedral_lattice import PermutohedralLattice


class MeanField:
    """Mean field inference for images of any sizes at once.

    The pixels of all images are points of one lattice for each kernel, which
    is built at the first call. Points of different images do not meet.

    Args:
        images (Sequence[Tensor]): RGB images (H, W, 3) uint8, on one device.
        gaussian_sxy (float): See :class:`mmlpcam.ops.DenseCRF`.
        gaussian_compat (float): The same.
        bilateral_sxy (float): The same.
        bilateral_srgb (float): The same.
        bilateral_compat (float): The same.
        num_iters (int): The same.
    """

    def __init__(self, images: Sequence[Tensor], *, gaussian_sxy: float,
                 gaussian_compat: float, bilateral_sxy: float,
                 bilateral_srgb: float, bilateral_compat: float,
                 num_iters: int) -> None:
        self.images = list(images)
        self.gaussian_sxy = gaussian_sxy
        self.gaussian_compat = gaussian_compat
        self.bilateral_sxy = bilateral_sxy
        self.bilateral_srgb = bilateral_srgb
        self.bilateral_compat = bilateral_compat
        self.num_iters = num_iters

    def infer(self, unaries: Sequence[Tensor]) -> list[Tensor]:
        """Compute the approximate posterior of each pixel.

        Args:
            unaries (Sequence[Tensor]): For each image negative log
                probabilities (S, L, H, W) float32, finite: S problems with L
                labels. S is the same for all images.

        Returns:
            list[Tensor]: Probabilities of the same shapes.
        """
        most = max(unary.shape[1] for unary in unaries)
        # labels that an image lacks get the probability 0
        energy = torch.cat([
            F.pad(
                unary.flatten(2), (0, 0, 0, most - unary.shape[1]),
                value=torch.inf) for unary in unaries
        ], 2)
        # Only differences matter to the softmax, and to messages, which are
        # linear: those to the first label spare one plane of messages.
        energy = energy[:, 1:] - energy[:, :1]
        probs = _softmax_to_first(-energy)
        for _ in range(self.num_iters):
            # Planes are fast to reduce over labels, rows (N, C) are what the
            # lattice takes.
            planes = probs[:, 1:] - probs[:, :1]
            rows = planes.flatten(0, 1).t().contiguous()
            messages = torch.zeros_like(rows)
            for compat, lattice in self._kernels:
                messages.add_(lattice.filter(rows), alpha=compat)
            messages = messages.t().contiguous().view_as(energy)
            probs = _softmax_to_first(messages - energy)
        parts = probs.split([unary[0, 0].numel() for unary in unaries], 2)
        return [
            part[:, :unary.shape[1]].reshape(unary.shape)
            for part, unary in zip(parts, unaries)
        ]

    @cached_property
    def _kernels(self) -> list[tuple[float, PermutohedralLattice]]:
        sizes = [tuple(image.shape[:2]) for image in self.images]
        device = self.images[0].device
        kernels = []
        if self.gaussian_compat:
            lattice = (
                _gaussian_lattice(sizes[0], self.gaussian_sxy, device)
                if len(sizes) == 1 else PermutohedralLattice(
                    _positions(sizes, device) /
                    self.gaussian_sxy, _numbers(sizes, device)))
            kernels.append((self.gaussian_compat, lattice))
        if self.bilateral_compat:
            colors = torch.cat(
                [image.flatten(0, 1).t().float() for image in self.images], 1)
            features = torch.cat([
                _positions(sizes, device) / self.bilateral_sxy,
                colors / self.bilateral_srgb
            ])
            kernels.append((self.bilateral_compat,
                            PermutohedralLattice(features,
                                                 _numbers(sizes, device))))
        return kernels


def _softmax_to_first(scores: Tensor) -> Tensor:
    """Softmax of (S, L - 1, N), which are relative to a first label."""
    return F.pad(scores, (0, 0, 1, 0)).softmax(1)


def _positions(sizes: Sequence[tuple[int, ...]],
               device: torch.device) -> Tensor:
    """Coordinates x and y of all pixels, (2, N) float32."""
    return torch.cat([
        torch.stack(
            torch.meshgrid(
                torch.arange(width, device=device),
                torch.arange(height, device=device),
                indexing='xy')).flatten(1) for height, width in sizes
    ], 1).float()


def _numbers(sizes: Sequence[tuple[int, ...]], device: torch.device) -> Tensor:
    """Number of the image of all pixels, (N, ) int64."""
    return torch.cat([
        torch.full((height * width, ), number, device=device)
        for number, (height, width) in enumerate(sizes)
    ])


@lru_cache(maxsize=8)
def _gaussian_lattice(size: tuple[int, ...], sxy: float,
                      device: torch.device) -> PermutohedralLattice:
    """Lattice of the kernel that depends on the size of the image only."""
    return PermutohedralLattice(
        _positions([size], device) / sxy, _numbers([size], device))
