import pytest
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample

from mmlpcam.models import CAMHead, ReCAMHead

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head(**kwargs):
    model = ReCAMHead(6, 5, num_clusters=3, **kwargs).eval()
    model.conv_seg.weight.data = randn(4, 6, 1, 1)
    model.recam.weight.data = randn(4, 6, 1, 1, seed=1)
    return model


def samples(*labels):
    return [SegDataSample(metainfo=dict(img_labels=la)) for la in labels]


@pytest.mark.parametrize('weight', [1., .1])
def test_loss_by_hand(weight):
    model, feats = head(recam_weight=weight), randn(3, 6, 4, 5, seed=2)
    labels = [(0, 2), (), (3, )]
    losses = model.loss([feats], samples(*labels), {})
    expected = 0
    for feat, present in zip(feats, labels):
        for label in present:
            cam = torch.einsum('d,dhw->hw', model.conv_seg.weight[label, :, 0,
                                                                  0],
                               feat).relu()
            cam = cam / (cam.max() + 1e-5)
            pooled = (cam * feat).mean((1, 2))
            logits = model.recam.weight[..., 0, 0] @ pooled
            expected = expected + F.cross_entropy(
                logits, torch.tensor(label)) / len(present) / 3
    torch.testing.assert_close(losses['loss_recam'], weight * expected)
    plain = CAMHead(6, 5, num_clusters=3)
    plain.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(
        losses['loss_cls'],
        plain.loss([feats], samples(*labels), {})['loss_cls'])


def test_batch_without_labels():
    model = head()
    losses = model.loss([randn(2, 6, 3, 3)], samples((), ()), {})
    assert losses['loss_recam'] == 0
    sum(v for k, v in losses.items() if 'loss' in k).backward()


@pytest.mark.parametrize('use_product', [True, False])
def test_maps_and_scores(use_product):
    model, feats = head(use_product=use_product), randn(2, 6, 4, 5)
    weight = model.conv_seg.weight[..., 0, 0]
    if use_product:
        weight = weight * model.recam.weight[..., 0, 0]
    expected = torch.einsum('cd,ndhw->nchw', weight, feats).relu()
    found = model.maps([feats], 'recam', [3, 1], flip=False)
    torch.testing.assert_close(found, expected[:, [3, 1]])
    fused = model.maps([torch.cat([feats, feats.flip(3)])],
                       'recam', [3, 1],
                       flip=True)
    torch.testing.assert_close(fused, found)
    # prototypes are those of the first classifier, as of LPCAM
    centers, first = randn(7, 6, seed=4), model.conv_seg.weight[..., 0, 0]
    torch.testing.assert_close(
        model.class_scores(centers), (centers @ first.T).softmax(1))
    # the maps of the first classifier are there as well
    cam = model.maps([feats], 'cam', [0], flip=False)
    torch.testing.assert_close(
        cam[:, 0],
        torch.einsum('d,ndhw->nhw', model.conv_seg.weight[0, :, 0, 0],
                     feats).relu())
