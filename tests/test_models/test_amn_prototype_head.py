"""LPCAM on the label-weighted features of AMN."""
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmlpcam.engine import PrototypeBuilder
from mmlpcam.models import multi_scale_maps


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model(tiny):
    cfg = tiny.cfg(scales=(1., ), use_image_labels=True)
    cfg['decode_head'].update(
        type='AMNPrototypeHead', amn=dict(dilations=(1, 2)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build(cfg)
        for conv in model.decode_head.amn.convs:
            torch.nn.init.normal_(conv.weight)
    return model.eval()


def weighted(model, images, labels):
    """Features (N, D, h, w), each channel times what its labels say."""
    encoder = model.decode_head.amn.label_encoder
    feats = model.backbone(images)[-1]
    for feat, present in zip(feats, labels):
        weight = encoder.bias + encoder.weight[:, list(present)].sum(1)
        feat *= weight[:, None, None]
    return feats


@torch.no_grad()
def test_maps_by_hand(model, tiny):
    head, labels = model.decode_head, [(0, 2), (1, )]
    prototypes = randn(3, 4, tiny.channels, seed=1)
    for label, rows in enumerate(prototypes):
        head.bank.set_class(label, rows[:3], rows[3:])
    images = randn(2, 3, 48, 64)
    found = multi_scale_maps(model, images, labels, ['amn_ungated', 'lpcam'])
    feats, mirror = (
        weighted(model, view, labels) for view in (images, images.flip(3)))
    logits = (head.amn.logits(feats) + head.amn.logits(mirror).flip(3)) / 2
    feats = (feats + mirror.flip(3)) / 2
    for i, present in enumerate(labels):
        for number, label in enumerate(present):
            expected = logits[i].softmax(0)[label + 1]
            low, high = expected.min(), expected.max()
            torch.testing.assert_close(
                found[i]['amn_ungated'].scales[0][number],
                (expected - low) / (high - low + 1e-5),
                rtol=0,
                atol=1e-4)
            cosines = [
                F.cosine_similarity(feats[i], row[:, None, None], dim=0)
                for row in prototypes[label]
            ]
            expected = sum(cosines[:3]) / 3 - cosines[3]
            torch.testing.assert_close(
                found[i]['lpcam'].scales[0][number],
                expected.relu(),
                rtol=0,
                atol=1e-4)


@torch.no_grad()
def test_score_of_a_prototype_is_that_of_a_constant_image(model, tiny):
    amn, centers = model.decode_head.amn, randn(5, tiny.channels)
    # in the middle no tap lies outside
    middle = amn.logits(centers[..., None, None].expand(-1, -1, 5, 5))
    torch.testing.assert_close(
        model.decode_head.class_scores(centers), middle[:, :, 2,
                                                        2].softmax(1)[:, 1:])


@torch.no_grad()
def test_prototypes_are_means_of_weighted_features(model, voc_mini):
    """One cluster a class, of the cells that the split calls foreground."""
    builder = PrototypeBuilder(
        voc_mini.dataset(),
        num_clusters=1,
        fg_thr=.5,
        mu_f=0,
        mu_b=1,
        num_workers=0)
    builder.build(model)
    dataset, total = builder.prepare(), {0: [], 1: []}
    for i in range(len(dataset)):
        data = model.data_preprocessor(
            dict(
                inputs=[dataset[i]['inputs']],
                data_samples=[dataset[i]['data_samples']]))
        labels = data['data_samples'][0].img_labels
        maps = multi_scale_maps(model, data['inputs'], [labels],
                                ['amn_ungated'])[0]['amn_ungated'].full()
        feats = weighted(model, data['inputs'], [labels])[0]
        for label, plane in zip(labels, maps):
            fine = F.interpolate(plane[None, None], feats.shape[1:])[0, 0]
            total[label].append(feats[:, fine > .5])
    for label, found in total.items():
        torch.testing.assert_close(
            model.decode_head.bank.class_prototypes[label, 0],
            torch.cat(found, 1).mean(1))


def test_it_needs_labels(model):
    with pytest.raises(TypeError, match='put ImageLabelDataset around'):
        model.predict(randn(1, 3, 48, 64))
