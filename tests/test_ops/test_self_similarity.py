import pytest
import torch

from mmlpcam.ops import self_similarity, spread_by_similarity


def example(height=5, width=7):
    torch.manual_seed(0)
    return (torch.rand(2, 3, height, width), torch.rand(2, 6, height, width))


def plain(maps, feats, sharpness):
    """One cell at a time."""
    found = torch.zeros_like(maps)
    for image in range(len(maps)):
        rows = feats[image].flatten(1).T
        scores = maps[image].flatten(1)
        for i, row in enumerate(rows):
            alike = torch.cosine_similarity(row[None], rows)
            weights = (sharpness * alike).exp()
            found[image].flatten(1)[:, i] = (scores *
                                             weights).sum(1) / weights.sum()
    return found


def test_agrees_with_the_plain_form():
    maps, feats = example()
    found = spread_by_similarity(maps, feats, 4.)
    torch.testing.assert_close(found, plain(maps, feats, 4.))
    assert (found - maps).abs().max() > .1


@pytest.mark.parametrize('block', [1, 100])
def test_blocks_change_nothing(monkeypatch, block):
    maps, feats = example()
    whole = spread_by_similarity(maps, feats, 4.)
    monkeypatch.setattr(self_similarity, '_BLOCK', block)
    torch.testing.assert_close(spread_by_similarity(maps, feats, 4.), whole)


def test_large_images_are_compared_to_means_of_squares(monkeypatch):
    """Where the squares are uniform, means change nothing."""
    maps, feats = (
        each.repeat_interleave(2, 2).repeat_interleave(2, 3)
        for each in example())
    whole = spread_by_similarity(maps, feats, 4.)
    monkeypatch.setattr(self_similarity, '_MAX_KEYS', 35)
    torch.testing.assert_close(spread_by_similarity(maps, feats, 4.), whole)
    # sides that are no multiples
    maps, feats = example(9, 13)
    found = spread_by_similarity(maps, feats, 4.)
    assert found.shape == maps.shape
    assert found.min() > maps.min() and found.max() < maps.max()


def test_full_precision_under_autocast():
    maps, feats = example()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = spread_by_similarity(maps, feats, 4.)
    assert torch.equal(found, spread_by_similarity(maps, feats, 4.))


def test_no_class_and_no_feature():
    maps, feats = example()
    assert spread_by_similarity(maps[:, :0], feats, 4.).shape == (2, 0, 5, 7)
    found = spread_by_similarity(maps, torch.zeros_like(feats), 4.)
    mean = maps.mean((2, 3), keepdim=True).expand_as(maps)
    torch.testing.assert_close(found, mean)


def test_sizes_must_agree():
    maps, feats = example()
    with pytest.raises(ValueError, match='are of different sizes'):
        spread_by_similarity(maps[..., 1:], feats, 4.)
