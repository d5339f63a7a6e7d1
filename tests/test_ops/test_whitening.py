import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mmlpcam.ops import feature_moments, fit_whitening, unwhiten, whiten


def features(number=200, channels=6):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(channels, channels, generator=generator)
    return torch.randn(number, channels, generator=generator) @ mix + 3


def test_principal_components_of_scikit_learn():
    feats = features()
    mean, matrix = fit_whitening(feature_moments(feats), 4)
    pca = PCA(4, whiten=True, svd_solver='full').fit(feats.numpy())
    np.testing.assert_allclose(mean, pca.mean_, atol=1e-5)
    found = whiten(feats, mean, matrix).numpy()
    # a component has no sign, and the variance of scikit-learn is that of a
    # sample
    expected = pca.transform(feats.numpy()) * np.sqrt(200 / 199)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_white_features():
    feats = features()
    mean, matrix = fit_whitening(feature_moments(feats), 6)
    white = whiten(feats, mean, matrix)
    torch.testing.assert_close(
        white.T @ white / 200, torch.eye(6), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        unwhiten(white, mean, matrix), feats, rtol=0, atol=1e-4)
    grid = whiten(feats.T.reshape(1, 6, 20, 10), mean, matrix)
    torch.testing.assert_close(grid.flatten(2)[0].T, white)


def test_moments_of_parts_add_up():
    feats = features()
    torch.testing.assert_close(
        feature_moments(feats[:70]) + feature_moments(feats[70:]),
        feature_moments(feats))


def test_a_channel_that_never_changes():
    feats = torch.cat([features(), torch.ones(200, 2)], 1)
    _, matrix = fit_whitening(feature_moments(feats), 8)
    assert matrix.isfinite().all()


def test_no_features():
    with pytest.raises(ValueError, match='there are none'):
        fit_whitening(feature_moments(torch.zeros(0, 3)), 2)
