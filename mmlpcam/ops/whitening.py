"""Whitening of local features by their principal components."""
import torch
from torch import Tensor

# Variances below this share of the largest one are taken for noise.
_SMALLEST = 1e-6


def feature_moments(feats: Tensor) -> Tensor:
    """Sum what whitening needs to know of features.

    Sums of several sets, such as those of the ranks, can be added.

    Args:
        feats (Tensor): Features (N, D).

    Returns:
        Tensor: (D + 1, D + 1) float64: the sum of the products of all
        channels with each other, and with a channel of ones, the last. On
        the CPU, since not all devices have the type.
    """
    ones = feats.new_ones(len(feats), 1)
    extended = torch.cat([feats, ones], 1).double().cpu()
    return extended.T @ extended


def fit_whitening(moments: Tensor, num_dims: int) -> tuple[Tensor, Tensor]:
    r"""Compute the affine map to white features.

    .. math:: y = W (x - m), \quad w_i = v_i / \sqrt{\lambda_i}

    with the mean m, and the eigenvectors and eigenvalues of the covariance,
    the largest first: PCA whitening. The y have no mean, and unit variances.

    Args:
        moments (Tensor): Of :func:`feature_moments`, (D + 1, D + 1).
        num_dims (int): Number of components r that are kept, in [1, D].

    Returns:
        tuple[Tensor, Tensor]: m (D, ) and W (r, D), float32.

    Raises:
        ValueError: If there are no features.
    """
    count = moments[-1, -1]
    if not count > 0:
        raise ValueError('whitening needs features, but there are none')
    mean = moments[-1, :-1] / count
    covariance = moments[:-1, :-1] / count - torch.outer(mean, mean)
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:num_dims], vectors.flip(1)[:, :num_dims]
    values = values.clamp_min(_SMALLEST * values[0].clamp_min(_SMALLEST))
    return mean.float(), (vectors / values.sqrt()).T.float()


def whiten(feats: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
    """Whiten features.

    The map is affine, so that the mean of whitened views of an image is that
    of its features, whitened.

    Args:
        feats (Tensor): Features (N, D) or (N, D, h, w).
        mean (Tensor): (D, ).
        matrix (Tensor): (r, D).

    Returns:
        Tensor: (N, r) or (N, r, h, w), float32.
    """
    # half precision would lose the small components
    with torch.autocast(feats.device.type, enabled=False):
        flat = feats.float().flatten(2) if feats.ndim == 4 else (
            feats.float()[..., None])
        white = matrix @ (flat - mean[:, None])
    return white.unflatten(
        2, feats.shape[2:]) if feats.ndim == 4 else (white[..., 0])


def unwhiten(white: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
    """Return features whose whitening is given: the nearest to the mean.

    Args:
        white (Tensor): (N, r).
        mean (Tensor): (D, ).
        matrix (Tensor): (r, D), rows at right angles to each other.

    Returns:
        Tensor: (N, D).
    """
    return white @ (matrix / matrix.square().sum(1, keepdim=True)) + mean
