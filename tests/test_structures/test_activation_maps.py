import numpy as np
import pytest
import torch

from mmlpcam.ops import (covered_size, full_size_maps, normalize_maps,
                         strided_maps)
from mmlpcam.structures import ActivationMaps


def make(labels=(3, 1), size=(37, 50), **kwargs):
    generator = torch.Generator().manual_seed(0)
    scales = [
        torch.rand(len(labels), rows, columns, generator=generator)
        for rows, columns in [(3, 4), (2, 2), (5, 7)]
    ]
    return ActivationMaps(labels, scales, size, covered_size(size, 16), 'cam',
                          **kwargs)


@pytest.mark.parametrize('eps', [0., 1e-5])
@pytest.mark.parametrize('mode', ['class', 'image', 'minmax', 'none'])
def test_full_and_strided_maps(eps, mode):
    maps = make(eps=eps, normalization=mode)
    full = sum(
        full_size_maps(m[None], (37, 50), (48, 64))[0] for m in maps.scales)
    small = sum(strided_maps(m[None], (37, 50))[0] for m in maps.scales)
    for found, expected in [(maps.full(), full), (maps.strided(), small)]:
        if mode == 'minmax':
            expected = expected - expected.amin((1, 2), keepdim=True)
        if mode != 'none':
            expected = expected / (
                eps + (expected.max() if mode == 'image' else expected.amax(
                    (1, 2), keepdim=True)))
        torch.testing.assert_close(found, expected)
    assert maps.full().shape == (2, 37, 50)
    assert maps.strided().shape == (2, 10, 13)
    assert maps.strided(16).shape == (2, 3, 4)


def test_maps_that_cover_the_image_alone():
    """As MCTformer has it: what a patch embedding drops is stretched over."""
    scales = [torch.rand(1, 2, 3, generator=torch.Generator().manual_seed(0))]
    maps = ActivationMaps((0, ), scales, (37, 50), (37, 50), 'cam')
    full = torch.nn.functional.interpolate(
        scales[0][None], (37, 50), mode='bilinear')[0]
    torch.testing.assert_close(maps.full(), full / full.max())


def test_joint_maximum_is_one_for_each_image():
    maps = torch.rand(2, 3, 4, 5)
    peaks = maps.amax((1, 2, 3))
    torch.testing.assert_close(
        normalize_maps(maps, 'image'), maps / peaks.view(2, 1, 1, 1))


def test_file_gives_the_same_maps(tmp_path):
    maps = make(eps=1e-5, normalization='image')
    path = tmp_path / 'sub' / 'a.npz'
    maps.save(path)
    again = ActivationMaps.load(path)
    assert (again.labels, again.size, again.extent, again.source,
            again.normalization, again.eps) == ((3, 1), (37, 50), (48, 64),
                                                'cam', 'image', 1e-5)
    assert len(again.scales) == 3
    assert torch.equal(again.full(), maps.full())
    assert torch.equal(again.strided(), maps.strided())
    assert [p.name for p in path.parent.iterdir()] == ['a.npz']
    # scale 10 comes after scale 2
    many = ActivationMaps((0, ), [torch.full((1, 1, 1), i) for i in range(12)],
                          (1, 1), (16, 16), 'cam')
    many.save(path)
    order = [int(maps) for maps in ActivationMaps.load(path).scales]
    assert order == list(range(12))


def test_no_label(tmp_path):
    maps = ActivationMaps((), [torch.zeros(0, 3, 4)], (37, 50), (48, 64),
                          'cam')
    maps.save(tmp_path / 'a.npz')
    again = ActivationMaps.load(tmp_path / 'a.npz')
    assert again.labels == () and again.full().shape == (0, 37, 50)
    assert again.strided().shape == (0, 10, 13)


def test_file_is_small(tmp_path):
    """The claim: a thirtieth of the full-size maps at stride 16."""
    size = (375, 500)
    scales = [
        torch.rand(1, -(-round(size[0] * s) // 16),
                   -(-round(size[1] * s) // 16)) for s in (1., .5, 1.5, 2.)
    ]
    ActivationMaps((3, ), scales, size, covered_size(size, 16),
                   'cam').save(tmp_path / 'a.npz')
    full = 4 * size[0] * size[1]
    # a few kilobytes more for the names of the arrays
    assert (tmp_path / 'a.npz').stat().st_size < full / 30 + 4000


@pytest.mark.parametrize('content', [b'', b'text', dict(labels=np.zeros(1))])
def test_broken_file(tmp_path, content):
    path = tmp_path / 'a.npz'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(ValueError, match='holds no activation maps'):
        ActivationMaps.load(path)
