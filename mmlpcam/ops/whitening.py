"""Centring and whitening of local features."""
import torch
from torch import Tensor


def fit_whitening(features: Tensor,
                  dims: int,
                  eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Fit a PCA that leaves unit variance in each direction.

    ``(features - mean) @ matrix`` has the most varying `dims` directions of
    the features, not correlated, each of variance 1 (less where `eps` counts).

    Args:
        features (Tensor): Features (N, D), any floating type, N > 1.
        dims (int): Directions r to keep, in [1, min(N, D)].
        eps (float): Added to the variances, in squared feature units.
            Defaults to 1e-6.

    Returns:
        tuple[Tensor, Tensor]: Mean (D, ) and matrix (D, r), float32.

    Raises:
        ValueError: If there are too few features, or `dims` is out of range.

    Example:
        >>> mean, matrix = fit_whitening(torch.tensor([[0., 0.], [2., 4.]]), 1)
        >>> mean
        tensor([1., 2.])
        >>> (torch.tensor([[2., 4.]]) - mean) @ matrix
        tensor([[1.0000]])
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError('whitening needs at least two features (N, D), but '
                         f'got {tuple(features.shape)}')
    if not 1 <= dims <= min(features.shape):
        raise ValueError(f'`dims` must lie in [1, {min(features.shape)}] for '
                         f'{tuple(features.shape)} features, but is {dims}')
    mean = features.double().mean(0)
    centered = features.double() - mean
    variances, axes = torch.linalg.eigh(centered.t() @ centered /
                                        len(features))
    variances, axes = variances[-dims:].flip(0), axes[:, -dims:].flip(1)
    # the sign of an axis means nothing, but results should repeat
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    scale = (variances.clamp_min(0) + eps).rsqrt()
    return mean.float(), (axes * signs * scale).float()
