import logging
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import load_checkpoint
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.models import CAMHead, multi_scale_maps
from mmlpcam.models.map_inference import image_labels
from mmlpcam.ops import flip_average, spread_by_similarity

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
SCALES = (1.0, 0.5, 1.5)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pool(images):
    """Features of a backbone of stride 16: mean colours, and rectified."""
    colors = F.avg_pool2d(images, 16, ceil_mode=True)
    return [colors, torch.cat([colors.relu(), (-colors).relu()], 1)]


def head(with_bank=True, **kwargs):
    """Head for `pool`: 6 channels, 4 foreground classes."""
    model = CAMHead(6, 5, num_clusters=3, **kwargs).eval()
    with torch.no_grad():
        model.conv_seg.weight.copy_(randn(4, 6, 1, 1))
    if with_bank:
        for label in range(4):
            model.bank.set_class(label,
                                 randn(3, 6, seed=label).abs(),
                                 randn(label % 3, 6, seed=9 + label).abs())
    return model


class Classifier(torch.nn.Module):
    """A head behind features that any function computes."""

    def __init__(self, decode_head, extract_feat=pool):
        super().__init__()
        self.decode_head = decode_head
        self.extract_feat = extract_feat


def samples(*labels):
    return [SegDataSample(metainfo=dict(img_labels=la)) for la in labels]


def cosine_maps(feats, prototypes):
    """Mean cosine, one prototype and one position at a time."""
    maps = torch.zeros(feats.shape[1:])
    for y in range(maps.shape[0]):
        for x in range(maps.shape[1]):
            for p in prototypes:
                maps[y, x] += F.cosine_similarity(
                    feats[:, y, x], p, dim=0) / len(prototypes)
    return maps


def naive_maps(model, image, label, map_type, scales, flip):
    """Maps of one image and class, in the words of the papers."""
    height, width = image.shape[1:]
    full = strided = 0
    for scale in scales:
        size = round(height * scale), round(width * scale)
        view = image[None]
        if scale != 1:
            view = F.interpolate(
                view, size=size, mode='bicubic', antialias=True)
        feats = pool(view)[-1][0]
        mirror = pool(view.flip(-1))[-1][0] if flip else None
        if map_type == 'cam':
            weight = model.conv_seg.weight[label, :, 0, 0]
            maps = (weight @ feats.flatten(1)).view(feats.shape[1:]).relu()
            if flip:
                maps = maps + (weight @ mirror.flatten(1)).view(
                    feats.shape[1:]).relu().flip(-1)
        else:
            if flip:
                feats = feats + mirror.flip(-1)
            bank = model.bank
            maps = cosine_maps(
                feats, bank.class_prototypes[label][bank.class_valid[label]])
            context = bank.context_prototypes[label][bank.context_valid[label]]
            if map_type == 'lpcam' and len(context):
                maps = (maps - cosine_maps(feats, context)).relu()
        maps = maps[None, None]
        full = full + F.interpolate(
            maps,
            size=(16 * math.ceil(height / 16), 16 * math.ceil(width / 16)),
            mode='bilinear')[0, 0, :height, :width]
        strided = strided + F.interpolate(
            maps,
            size=(math.ceil(height / 4), math.ceil(width / 4)),
            mode='bilinear')[0, 0]
    eps = 1e-5 if map_type == 'cam' else 0
    # image and mirror image are summed here, but averaged in the head
    factor = 2 if flip and map_type == 'cam' else 1
    return [m / (m.max() + factor * eps) for m in (full, strided)]


# --- training -------------------------------------------------------------


def test_loss_by_hand():
    model = head()
    feats = [randn(3, 6, 2, 4, seed=5)]
    labels = [(0, 2), (), (3, )]
    losses = model.loss(feats, samples(*labels), {})
    total, right = 0., 0
    for n in range(3):
        for c in range(4):
            logit = (feats[0][n].mean((1, 2)) @ model.weight[c]).item()
            sign = 1 if c in labels[n] else -1
            total += math.log(1 + math.exp(-sign * logit))
            right += sign * logit > 0
    assert losses['loss_cls'].item() == pytest.approx(total / 12, rel=1e-5)
    assert float(losses['acc_cls']) == pytest.approx(100 * right / 12)
    assert set(losses) == {'loss_cls', 'acc_cls'}


def test_loss_is_the_soft_margin_loss():
    model = head(loss_weight=0.25)
    feats = [randn(2, 6, 3, 3)]
    target = torch.tensor([[0., 1., 1., 0.], [1., 0., 0., 0.]])
    expected = F.multilabel_soft_margin_loss(model.classify(feats), target)
    loss = model.loss(feats, samples((1, 2), (0, )), {})['loss_cls']
    torch.testing.assert_close(loss, expected / 4)
    loss.backward()
    assert model.conv_seg.weight.grad.abs().sum() > 0


def test_classify_is_the_mean_of_the_positions():
    model = head()
    feats = [randn(2, 6, 3, 5)]
    torch.testing.assert_close(
        model.classify(feats),
        model.conv_seg(feats[0]).mean((2, 3)))
    assert torch.equal(model.forward(feats), model.classify(feats))
    assert model.forward(feats).min() < 0  # signed
    assert model.conv_seg.bias is None


def test_in_index():
    feats = [randn(1, 6, 2, 2), randn(1, 6, 2, 2, seed=1)]
    assert torch.equal(head().local_features(feats), feats[1])
    assert torch.equal(head(in_index=0).local_features(feats), feats[0])


def test_labels_are_needed():
    with pytest.raises(KeyError, match='no `img_labels`: wrap the dataset in'):
        head().loss([randn(2, 6, 2, 2)], [*samples(
            (1, )), SegDataSample()], {})


# --- arguments ------------------------------------------------------------


def test_num_classes_counts_the_background():
    with pytest.raises(ValueError, match='must be at least 2, but got 1'):
        CAMHead(6, 1)
    model = MODELS.build(dict(type='CAMHead', in_channels=6, num_classes=2))
    assert model.weight.shape == (1, 6)
    assert model.bank.class_prototypes.shape == (1, 12, 6)


def test_predict_is_refused():
    with pytest.raises(TypeError, match="set model.type='CAMSegmentor'"):
        head().predict([randn(1, 6, 2, 2)], [{}], {})


def test_maps_of_one_scale():
    model, feats = head(), pool(randn(2, 3, 32, 48))
    local = feats[1]
    for kind, directions, unit in (('cam', model.conv_seg.weight[..., 0,
                                                                 0], False),
                                   ('lpcam', model.bank.directions(), True),
                                   ('lpcam_f', model.bank.directions(False),
                                    True)):
        maps = model.maps(feats, kind, [2, 0], flip=False)
        assert maps.shape == (2, 2, 2, 3)
        expected = torch.einsum(
            'cd,ndhw->nchw', directions,
            F.normalize(local, dim=1) if unit else local).relu()
        torch.testing.assert_close(maps, expected[:, [2, 0]])


@pytest.mark.parametrize('size, ceil, floor', [((37, 50), (3, 4), (2, 3)),
                                               ((32, 64), (2, 4), (2, 4))])
def test_cells_and_extent(size, ceil, floor):
    assert head().settings.cells(size) == ceil
    assert head().settings.extent(size) == (ceil[0] * 16, ceil[1] * 16)
    floored = head(rounding='floor').settings
    assert floored.cells(size) == floor
    assert floored.extent(size) == size


@pytest.mark.parametrize('options, message', [
    (dict(stride=0), 'got 0'),
    (dict(rounding='round'), "got 16 and 'round'"),
    (dict(scales=()), r'above 0, but are \(\)'),
    (dict(scales=(1., 0.)), r'above 0, but are \(1.0, 0.0\)'),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        head(**options)


def test_unknown_map_type():
    for kind in ('gradcam', 'irn'):
        with pytest.raises(
                ValueError,
                match=f"'cam', 'lpcam_f', 'lpcam'.*got '{kind}'.*CAMHead does "
                'not make'):
            multi_scale_maps(
                Classifier(head()), randn(1, 3, 32, 32), [(0, )], [kind])


@pytest.mark.parametrize('map_type', ['lpcam', 'lpcam_f'])
def test_empty_bank(map_type):
    model, feats = head(with_bank=False), pool(randn(1, 3, 32, 32))
    with pytest.raises(
            RuntimeError, match='LPCAM maps need .*PrototypeBankHook'):
        model.maps(feats, map_type, [0], flip=False)
    assert model.maps(feats, 'cam', [0], flip=False).any()


def test_bank_travels_in_checkpoints(tmp_path):
    torch.save(head().state_dict(), tmp_path / 'a.pth')
    other = head(with_bank=False)
    load_checkpoint(other, str(tmp_path / 'a.pth'), strict=True)
    assert torch.equal(other.bank.directions(), head().bank.directions())


# --- maps -----------------------------------------------------------------


def fused_maps(model, extract, images, classes, map_types, **settings):
    """Full-size and strided maps of the batch, by map type."""
    found = multi_scale_maps(
        Classifier(model, extract), images, [list(classes)] * len(images),
        map_types, model.settings.changed(**settings))
    assert all(maps.source == kind for image in found
               for kind, maps in image.items())
    assert all(maps.labels == tuple(classes) for image in found
               for maps in image.values())
    return {
        kind: (torch.stack([image[kind].full() for image in found]),
               torch.stack([image[kind].strided() for image in found]))
        for kind in found[0]
    }


@pytest.mark.parametrize('map_type', ['cam', 'lpcam_f', 'lpcam'])
@pytest.mark.parametrize('scales, flip', [(SCALES, True), ((1.0, ), False),
                                          ((1.0, ), True), ((.5, 2.), False)])
def test_maps_equal_the_naive_way(map_type, scales, flip):
    model = head()
    images = randn(2, 3, 37, 50)
    classes = [3, 0, 1]
    full, strided = fused_maps(
        model,
        pool,
        images,
        classes,
        map_types=[map_type],
        scales=scales,
        flip=flip)[map_type]
    assert full.shape == (2, 3, 37, 50) and strided.shape == (2, 3, 10, 13)
    for n in range(2):
        for row, label in enumerate(classes):
            expected = naive_maps(model, images[n], label, map_type, scales,
                                  flip)
            torch.testing.assert_close(
                full[n, row], expected[0], rtol=0, atol=2e-5)
            torch.testing.assert_close(
                strided[n, row], expected[1], rtol=0, atol=2e-5)


def test_map_types_share_features_not_results():
    model = head()
    images = randn(1, 3, 33, 48)
    calls = []

    def extract(views):
        calls.append(len(views))
        return pool(views)

    kinds = ('lpcam', 'cam', 'lpcam_f')
    together = fused_maps(
        model, extract, images, [0, 2], map_types=kinds, scales=SCALES)
    assert calls == [2, 2, 2]  # image and mirror, once per scale
    assert tuple(together) == kinds
    for kind in kinds:
        alone = fused_maps(
            model, pool, images, [0, 2], map_types=[kind], scales=SCALES)[kind]
        assert all(map(torch.equal, together[kind], alone))


def test_maps_mirror_with_the_image():
    model = head()
    images = randn(1, 3, 32, 64)
    kwargs = dict(map_types=['lpcam', 'cam'], scales=(1.0, ))
    maps = fused_maps(model, pool, images, [0, 1], **kwargs)
    mirrored = fused_maps(model, pool, images.flip(-1), [0, 1], **kwargs)
    for kind in maps:
        torch.testing.assert_close(mirrored[kind][0].flip(-1), maps[kind][0])


def test_maps_lie_in_unit_interval_without_gradient():
    model = head()
    maps = fused_maps(
        model,
        pool,
        randn(2, 3, 20, 20),
        range(4),
        map_types=['cam', 'lpcam'],
        scales=SCALES)
    for full, strided in maps.values():
        assert not full.requires_grad
        for m in (full, strided):
            assert m.min() >= 0 and m.max() <= 1
    peaks = maps['lpcam'][0].amax((2, 3))
    assert set(peaks.flatten().tolist()) <= {0., 1.}


def test_class_without_prototypes_has_an_empty_map():
    model = head()
    model.bank.set_class(2, torch.zeros(0, 6), torch.zeros(0, 6))
    full, strided = fused_maps(
        model,
        pool,
        randn(1, 3, 32, 32), [2, 3],
        map_types=['lpcam'],
        scales=SCALES)['lpcam']
    assert not full[:, 0].any() and not strided[:, 0].any()
    assert full[:, 1].max() == 1


@pytest.mark.parametrize('size', [(1, 1), (3, 40), (16, 16)])
def test_small_images(size):
    full, strided = fused_maps(
        head(),
        pool,
        randn(1, 3, *size) + 1, [0],
        map_types=['lpcam_f'],
        scales=SCALES)['lpcam_f']
    assert full.shape == (1, 1, *size)
    assert strided.shape == (1, 1, -(-size[0] // 4), -(-size[1] // 4))
    assert full.max() == 1 and not full.isnan().any()


def test_no_class_gives_no_map():
    """An image without labels has maps (N, 0, H, W)."""
    full, strided = fused_maps(
        head(),
        pool,
        randn(2, 3, 20, 33), [],
        map_types=['lpcam'],
        scales=SCALES)['lpcam']
    assert full.shape == (2, 0, 20, 33) and strided.shape == (2, 0, 5, 9)


def test_images_are_resized_as_pillow_does():
    image = randn(1, 3, 31, 45)
    seen = []

    def extract(views):
        seen.append(views)
        return pool(views)

    fused_maps(
        head(),
        extract,
        image, [0],
        map_types=['cam'],
        scales=(1.0, 0.5, 1.5, 2.0))
    # halves are rounded to even, as the official codes do
    sizes = [(31, 45), (16, 22), (46, 68), (62, 90)]
    assert [tuple(views.shape[2:]) for views in seen] == sizes
    for views, (height, width) in zip(seen, sizes):
        assert torch.equal(views[1], views[0].flip(-1))
        for ours, channel in zip(views[0], image[0]):
            expected = np.asarray(
                Image.fromarray(channel.numpy()).resize(
                    (width, height), Image.Resampling.BICUBIC))
            np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_wrong_stride():
    with pytest.raises(
            ValueError,
            match=r'\(32, 40\) images should be \(4, 5\) at stride 8, but are '
            r'\(2, 3\)'):
        fused_maps(
            head(),
            pool,
            randn(1, 3, 32, 40), [0],
            map_types=['cam'],
            scales=(1.0, ),
            stride=8)


# --- labels ---------------------------------------------------------------


def never(images):
    raise AssertionError('the labels are known')


def test_labels_of_the_metainfo():
    metas = [dict(img_labels=[2, 0]), dict(img_labels=())]
    model = Classifier(head(), never)
    assert image_labels(model, randn(2, 3, 16, 16), metas) == [(2, 0), ()]


@pytest.mark.parametrize('metas', [None, [dict(img_labels=(1, )), {}]])
def test_predicted_labels(metas):
    model = head()
    images = randn(2, 3, 16, 32)
    found = image_labels(Classifier(model), images, metas)
    probability = model.classify(pool(images)).sigmoid()
    assert found == [
        tuple(c for c in range(4) if row[c] > .5) for row in probability
    ]
    assert {len(labels) for labels in found} - {0, 4}


def test_prediction_is_told_once(monkeypatch):
    told = []
    monkeypatch.setattr('mmlpcam.models.map_inference.print_log',
                        lambda *args, **kwargs: told.append((args, kwargs)))
    model = head()
    for _ in range(3):
        image_labels(Classifier(model), randn(1, 3, 16, 16), None)
    assert len(told) == 1 and 'without image labels' in told[0][0][0]
    assert told[0][1]['level'] == logging.WARNING


# --- image-adaptive directions --------------------------------------------


@pytest.mark.parametrize('map_type', ['lpcam', 'lpcam_f'])
def test_directions_move_towards_the_image(map_type):
    plain, moved = head(), head(image_weight=.25)
    feats = randn(2, 6, 3, 4, seed=5).abs()
    found = moved.maps([feats], map_type, [3, 1], flip=False)
    directions = plain.directions(map_type == 'lpcam')
    for image, maps in zip(feats, found):
        unit = image.flatten(1) / image.flatten(1).norm(dim=0)
        for label, one in zip([3, 1], maps):
            first = (directions[label] @ unit).relu()
            first = first / first.max()
            own = ((unit * first).sum(1) / first.sum() -
                   (unit * (1 - first)).sum(1) / (1 - first).sum())
            own = own / own.norm() * directions[label].norm()
            direction = .75 * directions[label] + .25 * own
            torch.testing.assert_close(
                one.flatten(), (direction @ unit).relu(), atol=1e-6, rtol=0)
    still = plain.maps([feats], map_type, [3, 1], flip=False)
    assert (found - still).abs().max() > .01


def test_image_weight_is_checked():
    with pytest.raises(ValueError, match=r'`image_weight` 1.0 not in \[0, 1'):
        head(image_weight=1.)


def test_nothing_moves_where_there_is_no_map():
    moved = head(image_weight=.5)
    moved.bank.class_direction[2] = -1
    moved.bank.context_direction[2] = 0
    maps = moved.maps([randn(1, 6, 3, 4).abs()], 'lpcam', [2], flip=False)
    assert torch.equal(maps, torch.zeros(1, 1, 3, 4))


# --- maps that spread -----------------------------------------------------


@pytest.mark.parametrize('map_type', ['lpcam', 'lpcam_f'])
def test_maps_of_the_bank_spread(map_type):
    plain, spread = head(), head(spread=4.)
    feats = randn(4, 6, 3, 4, seed=5).abs()
    found = spread.maps([feats], map_type, [3, 1], flip=True)
    expected = spread_by_similarity(
        plain.maps([feats], map_type, [3, 1], flip=True), flip_average(feats),
        4.)
    assert torch.equal(found, expected)
    # CAM, which tells foreground from context, does not
    cams = [
        model.maps([feats], 'cam', [3, 1], flip=True)
        for model in (plain, spread)
    ]
    assert torch.equal(*cams)


def test_spread_is_checked():
    with pytest.raises(ValueError, match='`spread` must be above 0, but is 0'):
        head(spread=0)
