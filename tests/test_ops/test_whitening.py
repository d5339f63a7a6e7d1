import pytest
import torch

from mmlpcam.ops import fit_whitening


def features():
    rng = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=rng)
    return torch.randn(500, 6, generator=rng) @ mixing + 3


def test_whitened_features_are_uncorrelated():
    rows = features()
    mean, matrix = fit_whitening(rows, 4)
    white = (rows - mean) @ matrix
    torch.testing.assert_close(
        white.T @ white / len(rows), torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(mean, rows.mean(0))


def test_the_most_varying_directions_are_kept():
    rows = features()
    _, matrix = fit_whitening(rows, 2)
    axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:2]
    cosines = torch.nn.functional.normalize(matrix.T, dim=1) @ axes.T
    torch.testing.assert_close(cosines.abs(), torch.eye(2), atol=1e-4, rtol=0)


@pytest.mark.parametrize('rows, dims, message', [
    (torch.zeros(1, 3), 1, 'at least two features'),
    (torch.zeros(9, 3), 4, r'in \[1, 3\] .* but is 4'),
    (torch.zeros(9, 3), 0, r'in \[1, 3\] .* but is 0'),
])
def test_errors(rows, dims, message):
    with pytest.raises(ValueError, match=message):
        fit_whitening(rows, dims)
