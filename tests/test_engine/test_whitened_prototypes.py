"""Prototypes of whitened features, from the builder to the maps."""
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmlpcam.engine import PrototypeBuilder
from mmlpcam.models import multi_scale_maps
from mmlpcam.ops import prototype_scores


def build(tiny, whitening):
    cfg = tiny.cfg(scales=(1.0, ))
    cfg['decode_head'].update(whitening=whitening)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.decode_head.conv_seg.weight.data.normal_()
    return model.eval()


def builder(data, **changes):
    options = dict(fg_thr=.5, mu_f=0, mu_b=1, num_workers=0)
    return PrototypeBuilder(data.dataset(), **{**options, **changes})


def test_maps_by_hand(tiny, voc_mini):
    model = build(tiny, 5)
    builder(voc_mini).build(model)
    bank = model.decode_head.bank
    assert bank.class_prototypes.shape == (3, 3, 5)
    images = torch.randn(1, 3, 48, 64)
    labels = (1, )  # no image of another class has a foreground feature
    maps = multi_scale_maps(model, images, [labels], ['lpcam'])[0]['lpcam']
    with torch.no_grad():
        both = [model.backbone(view)[-1] for view in (images, images.flip(3))]
    feats = ((both[0] + both[1].flip(3)) / 2)[0].flatten(1).T
    white = (feats - bank.whitening_mean) @ bank.whitening_matrix.T
    for number, label in enumerate(labels):
        expected = torch.zeros(len(white))
        for side, sign in (('class', 1), ('context', -1)):
            kept = getattr(bank, f'{side}_prototypes')[label][getattr(
                bank, f'{side}_valid')[label]]
            cosines = [F.cosine_similarity(white, row[None]) for row in kept]
            expected += sign * torch.stack(cosines).mean(0)
        torch.testing.assert_close(
            maps.scales[0][number].flatten(),
            expected.relu(),
            rtol=0,
            atol=1e-4)
    # another model has it all from a checkpoint
    other = build(tiny, 5)
    other.load_state_dict(model.state_dict())
    again = multi_scale_maps(other, images, [labels], ['lpcam'])[0]['lpcam']
    assert torch.equal(again.scales[0], maps.scales[0])


def test_points_are_white_and_centres_classified_raw(tiny, voc_mini,
                                                     monkeypatch):
    model = build(tiny, tiny.channels)
    points, scored = [], []

    def spy(sets, *args, **kwargs):
        points.extend(each.points for each in sets)
        return kmeans_many(sets, *args, **kwargs)

    from mmlpcam.engine import class_clusters
    kmeans_many = class_clusters.kmeans_many
    monkeypatch.setattr(class_clusters, 'kmeans_many', spy)
    head = model.decode_head
    monkeypatch.setattr(
        head, 'class_scores', lambda centers:
        (scored.append(centers), prototype_scores(centers, head.weight))[1])
    builder(voc_mini).build(model)
    white = torch.cat(points)
    torch.testing.assert_close(
        white.mean(0), torch.zeros(tiny.channels), rtol=0, atol=1e-3)
    plain = build(tiny, None)
    points.clear()
    builder(voc_mini).build(plain)
    # means of raw features, which are not negative
    assert torch.cat(scored).min() > -1e-3
    assert torch.cat(scored).max() <= torch.cat(points).max() + 1e-3


def test_no_average_of_two_banks(tiny, voc_mini):
    with pytest.raises(ValueError, match='momentum=1, or whitening=None'):
        builder(voc_mini).build(build(tiny, 5), momentum=.5)


@pytest.mark.parametrize('whitening', [0, 33])
def test_number_of_dimensions(tiny, whitening):
    with pytest.raises(
            ValueError,
            match=r'`whitening` must be a whole number in \[1, 32\]'):
        build(tiny, whitening)
