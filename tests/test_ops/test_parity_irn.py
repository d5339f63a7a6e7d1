"""Agreement of boundaries, losses and walks with the official IRN.

See `parity/README.md`: everything is read from the file, so that it may be
any file of that form.
"""
import numpy as np
import pytest
import torch

from mmlpcam.ops import (affinity_loss, pair_affinity, pair_kinds,
                         pair_offsets, random_walk, source_and_neighbors)

# 255 is not trusted, and all that is below is a class.
NUM_CLASSES = 255


@pytest.fixture(scope='module')
def irn(parity):
    file = parity / 'irn.npz'
    if not file.exists():
        pytest.skip(f'no {file}')
    with np.load(file, allow_pickle=False) as content:
        return {name: torch.from_numpy(content[name]) for name in content}


@pytest.fixture(scope='module')
def walks(irn):
    """Names of the images."""
    return sorted(name[4:] for name in irn if name.startswith('cam_'))


@pytest.fixture(scope='module')
def radius(irn):
    """The longest offset is one shorter."""
    return int(irn['pair_offsets'].abs().max()) + 1


@pytest.fixture(scope='module')
def order(irn, radius):
    """For each official offset, its place in ours."""
    ours = list(pair_offsets(radius))
    return [ours.index(tuple(item)) for item in irn['pair_offsets'].tolist()]


def edges(irn):
    return irn['pair_edge'][:, 0]


def losses(irn, radius):
    affinity = pair_affinity(edges(irn), radius)
    labels = irn['pair_label'].long()
    return affinity_loss(affinity, pair_kinds(labels, radius, NUM_CLASSES))


def test_parity_irn_offsets(irn, radius):
    theirs = [tuple(item) for item in irn['pair_offsets'].tolist()]
    assert set(theirs) == set(pair_offsets(radius))
    assert len(theirs) == len(pair_offsets(radius))


def test_parity_irn_sources_and_destinations(irn, radius, order):
    grid = irn['pair_edge'].shape[-2:]
    source, other = source_and_neighbors(
        torch.arange(grid.numel()).view(1, *grid), radius)
    assert torch.equal(source.flatten(), irn['pair_src'].long())
    assert torch.equal(other[0].flatten(1)[order], irn['pair_dst'].long())


def test_parity_irn_affinity(irn, radius, order):
    ours = pair_affinity(edges(irn), radius).flatten(2)[:, order]
    assert ours.shape == irn['pair_affinity'].shape
    torch.testing.assert_close(
        ours, irn['pair_affinity'].float(), rtol=0, atol=1e-6)


def test_parity_irn_affinity_of_their_cells(irn, radius, order):
    """Cell by cell, whatever the order of sources."""
    ours = pair_affinity(edges(irn), radius)
    grid = irn['pair_edge'].shape[-2:]
    rows, columns = np.unravel_index(irn['pair_src'].numpy(), grid)
    found = ours[:, :, rows, columns - radius + 1][:, order]
    torch.testing.assert_close(
        found, irn['pair_affinity'].float(), rtol=0, atol=1e-6)


def test_parity_irn_losses(irn, radius):
    found = losses(irn, radius)
    weights = dict(loss_bg_pos=4, loss_fg_pos=4, loss_neg=2)
    means = [found[name].item() * weight for name, weight in weights.items()]
    assert means == pytest.approx(irn['loss_bg_fg_neg'].tolist(), rel=1e-5)


def test_parity_irn_total_loss(irn, radius):
    total = sum(losses(irn, radius).values()).item()
    assert total == pytest.approx(irn['loss_affinity'].item(), rel=1e-5)


def test_parity_irn_loss_from_their_affinities(irn, radius, order):
    """The loss alone, on the affinities of the file."""
    kinds = pair_kinds(irn['pair_label'].long(), radius, NUM_CLASSES)
    kinds = kinds._make(mask.flatten(2)[:, order] for mask in kinds)
    found = affinity_loss(irn['pair_affinity'], kinds)
    total = sum(found.values()).item()
    assert total == pytest.approx(irn['loss_affinity'].item(), rel=1e-5)


def test_parity_irn_walk(irn, walks):
    assert walks
    for name in walks:
        ours = random_walk(irn[f'cam_{name}'], irn[f'edge_{name}'])
        theirs = irn[f'walk_{name}']
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=0)


def test_parity_irn_walk_of_each_class(irn, walks):
    for name in walks:
        for cam, theirs in zip(irn[f'cam_{name}'], irn[f'walk_{name}']):
            ours = random_walk(cam[None], irn[f'edge_{name}'])[0]
            torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=0)
