import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import DATASETS, MODELS

from mmlpcam.engine import (PrototypeBuilder, bank_report, class_clusters,
                            draw_images)
from mmlpcam.engine.prototype_sampling import ImageView, collect_points
from mmlpcam.models import find_map_head
from mmlpcam.ops import (kmeans, kmeans_many, kmeans_sklearn, prototype_scores,
                         select_class_prototypes, select_context_prototypes)

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
# A random classifier: everything may become a prototype.
OPTIONS = dict(fg_thr=.5, mu_f=.2, mu_b=.95, num_workers=0)


def builder(data, **kwargs):
    return PrototypeBuilder(data.dataset(), **{**OPTIONS, **kwargs})


def state(model):
    return {
        k: v.clone()
        for k, v in model.decode_head.bank.state_dict().items()
    }


def same(one, two):
    return all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture
def told(monkeypatch):
    """What is logged, as (level, text)."""
    lines = []
    monkeypatch.setattr(
        bank_report,
        'print_log',
        lambda text, level=logging.INFO, **_: lines.append((level, text)))
    return lines


@pytest.fixture
def clustered(monkeypatch):
    """Points, keys and arguments of each clustering, in order."""
    calls = []

    def spy(sets, num_clusters, **kwargs):
        for points, keys, weights in sets:
            options = dict(kwargs, keys=keys, weights=weights)
            calls.append((points.clone(), num_clusters, options))
        return kmeans_many(sets, num_clusters, **kwargs)

    monkeypatch.setattr(class_clusters, 'kmeans_many', spy)
    return calls


def features_by_hand(model, data, fg_thr=.5, scales=(1.0, 0.5)):
    """Rows per (class, side): a list with one array per image."""
    dataset = DATASETS.build(data.dataset())
    head = model.decode_head
    out = {}
    for i, labels in enumerate(data.indices):
        image = dataset[i]['inputs'].flip(0)[None].float() / 127.5 - 1
        height, width = image.shape[2:]
        with torch.no_grad():
            feats = model.backbone(image)[-1][0]
            cam = 0
            for scale in scales:
                view = image
                if scale != 1:
                    size = round(height * scale), round(width * scale)
                    view = F.interpolate(
                        image, size, mode='bicubic', antialias=True)
                maps = F.conv2d(
                    model.backbone(view)[-1], head.conv_seg.weight).relu()
                mirror = F.conv2d(
                    model.backbone(view.flip(3))[-1],
                    head.conv_seg.weight).relu().flip(3)
                grid = [-(-height // 16) * 16, -(-width // 16) * 16]
                cam = cam + F.interpolate(
                    (maps + mirror) / 2, grid,
                    mode='bilinear')[0, :, :height, :width]
        for label in labels:
            one = cam[label] / (cam[label].max() + 1e-5)
            rows = [], []
            for y in range(feats.shape[1]):
                for x in range(feats.shape[2]):
                    value = one[y * height // feats.shape[1],
                                x * width // feats.shape[2]]
                    rows[int(value < fg_thr)].append(feats[:, y, x])
            for side, part in zip(('fg', 'bg'), rows):
                out.setdefault((label, side), []).append(
                    torch.stack(part) if part else feats.
                    new_zeros(0, feats.shape[0]))
    return out


# --- draw_images ----------------------------------------------------------

LABELS = [(0, 2), (2, ), (), (0, ), (2, 3), (0, 2)]


def test_all_images_once():
    assert draw_images(LABELS, 5, None, 0) == [{
        0: 1,
        3: 1,
        5: 1
    }, {}, {
        0: 1,
        1: 1,
        4: 1,
        5: 1
    }, {
        4: 1
    }, {}]


@pytest.mark.parametrize('number', [1, 4, 100])
def test_draws_are_those_of_the_official_code(number):
    """One generator, seed 666, classes in order, with replacement."""
    drawn = draw_images(LABELS, 5, number, 666)
    rng = np.random.RandomState(666)
    for label in range(5):
        members = [i for i, la in enumerate(LABELS) if label in la]
        expected = {}
        if members:
            for i in rng.choice(members, number):
                expected[int(i)] = expected.get(int(i), 0) + 1
        assert drawn[label] == expected
        assert sum(drawn[label].values()) == (number if members else 0)


def test_draws_depend_on_the_seed_only():
    np.random.seed(0)  # noqa: NPY002
    first = draw_images(LABELS, 5, 20, 1)
    np.random.seed(1)  # noqa: NPY002
    assert draw_images(LABELS, 5, 20, 1) == first
    assert draw_images(LABELS, 5, 20, 2) != first


# --- build ----------------------------------------------------------------


def test_bank_equals_a_plain_computation(tiny, voc_mini, clustered):
    model = tiny.build()
    table = builder(
        voc_mini, max_features_per_class=None, mu_b_low=.1,
        seed=3).build(model)
    expected = features_by_hand(model, voc_mini)
    bank, weight = model.decode_head.bank, model.decode_head.weight
    calls = iter(clustered)
    kept = 0
    for label in range(3):
        found = []
        for side in ('fg', 'bg'):
            points, num_clusters, kwargs = next(calls)
            by_hand = torch.cat(
                expected.get((label, side), [torch.zeros(0, 32)]))
            torch.testing.assert_close(points, by_hand, rtol=0, atol=1e-5)
            assert num_clusters == 3 and kwargs['seed'] == 3
            assert len(kwargs['keys'].unique()) == len(points)
            found.append(kmeans(points, 3, seed=3, keys=kwargs['keys']))
        scores = [
            prototype_scores(each.centers, weight)[:, label] for each in found
        ]
        keep = [
            select_class_prototypes(scores[0], .2),
            select_context_prototypes(scores[1], .95, .1)
        ]
        fg, bg = (each.centers[chosen] for each, chosen in zip(found, keep))
        for side, *columns in zip(('class', 'context'),
                                  (each.counts for each in found), scores,
                                  keep):
            assert table[label][side] == [
                *zip(*(column.tolist() for column in columns))
            ]
        assert bank.class_valid[label].sum() == len(fg)
        assert bank.context_valid[label].sum() == len(bg)
        assert torch.equal(bank.class_prototypes[label, :len(fg)], fg)
        assert torch.equal(bank.context_prototypes[label, :len(bg)], bg)
        kept += len(bg)
    assert bank.class_valid.any(1).tolist() == [True, True, False]
    assert kept > 0 and next(calls, None) is None


def test_sklearn_backend(tiny, voc_mini, clustered):
    model, other = tiny.build(), tiny.build()
    builder(voc_mini).build(other)
    builder(voc_mini, backend='sklearn', init='k-means++').build(model)
    bank, weight = model.decode_head.bank, model.decode_head.weight
    for label in range(2):
        fg = kmeans_sklearn(clustered[2 * label][0], 3).centers
        fg = fg[select_class_prototypes(
            prototype_scores(fg, weight)[:, label], .2)]
        assert torch.equal(bank.class_prototypes[label, :len(fg)], fg)
        assert bank.class_valid[label].sum() == len(fg)
    assert len(clustered) == 6  # all by the other builder


def test_arguments_reach_the_clustering(tiny, voc_mini, clustered):
    builder(
        voc_mini, init='k-means++', tol=.25, max_iters=7,
        seed=5).build(tiny.build(num_clusters=2))
    for _, num_clusters, kwargs in clustered:
        del kwargs['keys']
        assert num_clusters == 2
        assert kwargs == dict(
            init='k-means++', tol=.25, max_iters=7, seed=5, weights=None)


def test_image_drawn_twice_counts_twice(tiny, voc_mini, clustered):
    model = tiny.build()
    builder(
        voc_mini, images_per_class=5, seed=666,
        max_features_per_class=None).build(model)
    by_hand = features_by_hand(model, voc_mini)
    repeats = draw_images(voc_mini.indices, 3, 5, 666)
    assert any(n > 1 for n in repeats[0].values())
    for label in range(2):
        members = [
            i for i, labels in enumerate(voc_mini.indices) if label in labels
        ]
        for side, (points, _, kwargs) in zip(('fg', 'bg'),
                                             clustered[2 * label:]):
            expected = torch.cat([
                part for i, part in zip(members, by_hand[label, side])
                for _ in range(repeats[label].get(i, 0))
            ])
            torch.testing.assert_close(points, expected, rtol=0, atol=1e-5)
            assert len(kwargs['keys'].unique()) == len(points)


@pytest.mark.parametrize('bound', [20, 7, 2, 1])
def test_features_per_class_are_bounded(tiny, voc_mini, clustered, bound):
    model = tiny.build()
    builder(voc_mini, max_features_per_class=bound).build(model)
    by_hand = features_by_hand(model, voc_mini)
    for label in range(2):
        for side, (points, _, _) in zip(('fg', 'bg'), clustered[2 * label:]):
            everything = torch.cat(by_hand[label, side])
            assert 0 < len(points) <= bound
            # a subset, in order
            distance = torch.cdist(points, everything)
            assert distance.amin(1).max() < 1e-3
            assert (distance.argmin(1).diff() > 0).all()


@pytest.mark.parametrize('bound', [9, 2])
def test_bound_holds_for_drawn_images(tiny, voc_mini, clustered, bound):
    builder(
        voc_mini, images_per_class=6,
        max_features_per_class=bound).build(tiny.build())
    sizes = [len(points) for points, _, _ in clustered]
    assert max(sizes) <= bound and min(sizes[:4]) > 0
    for points, _, kwargs in clustered:
        assert len(kwargs['keys'].unique()) == len(points)


def test_loader_processes_change_nothing(tiny, voc_mini):
    models = [tiny.build(), tiny.build()]
    for model, num_workers in zip(models, (0, 2)):
        builder(
            voc_mini, num_workers=num_workers,
            max_features_per_class=7).build(model)
    assert models[0].decode_head.bank.is_built
    assert same(state(models[0]), state(models[1]))


def test_seed_repeats_and_matters(tiny, voc_mini):
    states = []
    for seed in (0, 0, 1):
        model = tiny.build()
        torch.manual_seed(len(states))
        builder(voc_mini, seed=seed, max_features_per_class=7).build(model)
        states.append(state(model))
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


def test_building_again_replaces_the_bank(tiny, voc_mini):
    fresh, used = tiny.build(), tiny.build(with_bank=True)
    assert used.decode_head.bank.class_valid[2].any()
    for model in (fresh, used):
        builder(voc_mini).build(model)
    assert same(state(fresh), state(used))
    assert not used.decode_head.bank.class_valid[2].any()


def test_padding_of_the_preprocessor_plays_no_part(tiny, voc_mini):
    plain = tiny.build()
    padded = tiny.build(preprocessor=dict(test_cfg=dict(size_divisor=64)))
    for model in (plain, padded):
        builder(voc_mini).build(model)
    assert same(state(plain), state(padded))


# --- side effects ---------------------------------------------------------


@pytest.mark.parametrize('training', [True, False])
def test_training_mode_is_restored(tiny, voc_mini, training):
    model = tiny.build().train(training)
    before = {n: m.training for n, m in model.named_modules()}
    weights = {
        k: v.clone()
        for k, v in model.state_dict().items() if '.bank.' not in k
    }
    builder(voc_mini).build(model)
    assert {n: m.training for n, m in model.named_modules()} == before
    assert model.training is training
    after = model.state_dict()
    assert all(torch.equal(after[key], weights[key]) for key in weights)
    assert all(p.grad is None for p in model.parameters())


def test_training_mode_is_restored_after_a_failure(tiny, voc_mini):
    model = tiny.build(stride=8).train()
    with pytest.raises(ValueError, match='at stride 8'):
        builder(voc_mini).build(model)
    assert model.training
    assert not model.decode_head.bank.is_built


# --- messages -------------------------------------------------------------


def test_class_without_features_is_named(tiny, voc_mini, told):
    builder(voc_mini).build(tiny.build())
    level, table = told[0]
    assert level == logging.INFO
    rows = {
        cells[0]: list(map(int, cells[1:]))
        for cells in ([c.strip() for c in line.strip('|').split('|')]
                      for line in table.splitlines()
                      if line.startswith('|') and 'class' not in line)
    }
    assert set(rows) == {'cat', 'dog', 'bird'}
    assert rows['bird'] == [0] * 6
    assert min(rows['cat']) > 0
    warnings = [text for level, text in told if level == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith('bird: no foreground feature')
    assert 'no positive score anywhere' in warnings[0]


def test_class_without_context_is_named(tiny, voc_mini, told):
    model = tiny.build()
    builder(voc_mini, mu_b=1e-6).build(model)
    assert not model.decode_head.bank.context_valid.any()
    assert model.decode_head.bank.class_valid[:2].any(1).all()
    warnings = [text for level, text in told if level == logging.WARNING]
    assert warnings[0].startswith('bird: ')
    assert warnings[1].startswith('cat, dog: no context prototype')
    assert 'mu_b_low 0.0 and mu_b 1e-06' in warnings[1]


def test_nothing_to_warn_of(tiny, voc_mini, told):
    xml = voc_mini.root / 'Annotations' / '2007_000001.xml'
    xml.write_text(xml.read_text().replace('cat', 'bird'))
    model = tiny.build()
    builder(voc_mini).build(model)
    assert model.decode_head.bank.context_valid.any(1).all()
    assert [level for level, _ in told] == [logging.INFO]


def test_no_image_has_a_label(tiny, voc_mini):
    for xml in (voc_mini.root / 'Annotations').rglob('*.xml'):
        xml.write_text('<annotation></annotation>')
    with pytest.raises(ValueError, match='none of the images .* has a label'):
        builder(voc_mini).build(tiny.build())


# --- arguments ------------------------------------------------------------


@pytest.mark.parametrize('kwargs, message', [
    (dict(fg_thr=1.1), r'`fg_thr` must lie in \[0, 1\], but is 1.1'),
    (dict(mu_f=-.1), r'`mu_f` must lie in \[0, 1\], but is -0.1'),
    (dict(mu_b=2), '`mu_b` must lie in .*but is 2'),
    (dict(mu_b_low=-1), '`mu_b_low` must lie in .*but is -1'),
    (dict(mu_b=.3, mu_b_low=.3), '`mu_b_low` 0.3 must be below `mu_b` 0.3'),
    (dict(backend='faiss'), "'torch' or 'sklearn', but is 'faiss'"),
])
def test_argument_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PrototypeBuilder({}, **kwargs)


@pytest.mark.parametrize('kwargs', [
    dict(init='kmeans'),
    dict(max_iters=0),
    dict(images_per_class=0),
    dict(max_features_per_class=0),
    dict(seed=-1),
    dict(num_workers=-1),
])
def test_argument_errors_before_the_work(kwargs):
    """Not after all features have been collected."""
    with pytest.raises(ValueError, match=f'`{next(iter(kwargs))}`'):
        PrototypeBuilder({}, **kwargs)


def test_unknown_argument():
    with pytest.raises(TypeError, match='tau'):
        PrototypeBuilder({}, tau=.1)


# --- find_map_head --------------------------------------------------------


def segmentor(tiny, decode, auxiliary):
    cfg = tiny.cfg()
    cam = dict(cfg['decode_head'])
    fcn = dict(
        type='FCNHead', in_channels=32, channels=4, num_classes=4, num_convs=1)
    heads = dict(cam=cam, fcn=fcn)
    cfg.update(
        type='EncoderDecoder',
        test_cfg=dict(mode='whole'),
        decode_head=heads[decode],
        auxiliary_head=[dict(heads[a]) for a in auxiliary] or None)
    return MODELS.build(cfg)


def test_map_head_as_decode_head(tiny):
    model = tiny.build()
    assert find_map_head(model) is model.decode_head


@pytest.mark.parametrize('auxiliary', [['cam'], ['fcn', 'cam']])
def test_map_head_as_auxiliary_head(tiny, auxiliary):
    model = segmentor(tiny, 'fcn', auxiliary)
    assert find_map_head(model) is model.auxiliary_head[-1]


@pytest.mark.parametrize('decode, auxiliary, number', [('fcn', [], 0),
                                                       ('fcn', ['fcn'], 0),
                                                       ('cam', ['cam'], 2)])
def test_one_map_head_is_needed(tiny, decode, auxiliary, number):
    model = segmentor(tiny, decode, auxiliary)
    with pytest.raises(
            TypeError,
            match=f'one MapHead, .* in EncoderDecoder, but found {number}: '
            'make'):
        find_map_head(model)


def test_build_for_an_auxiliary_head(tiny, voc_mini):
    model = segmentor(tiny, 'fcn', ['cam']).eval()
    builder(voc_mini).build(model)
    assert model.auxiliary_head[0].bank.is_built


# --- soft weights, several clusterings ------------------------------------


def test_soft_weights_are_the_cam_and_its_complement():
    maps = torch.tensor([[[.9, .9, .2, .2], [.9, .9, .2, .2]],
                         [[.5, .5, 1., 1.], [.5, .5, 1., 1.]]])
    feats = torch.tensor([[[1., 2.]], [[3., 4.]]])  # two cells
    view = ImageView(7, (0, 2), feats, maps)
    quota = [{7: [None]}, {}, {7: [None]}]
    found = {
        soft: collect_points([view], quota, fg_thr=.5, soft=soft, seed=0)
        for soft in (False, True)
    }
    for points in found.values():
        # a value that equals the threshold is on neither side
        assert set(points) == {(0, 'class'), (0, 'context'), (2, 'class'),
                               (2, 'context')}
        assert points[0, 'class'].feats.tolist() == [[1., 3.]]
        assert points[0, 'context'].feats.tolist() == [[2., 4.]]
        assert points[2, 'class'].feats.tolist() == [[2., 4.]]
        assert not len(points[2, 'context'].feats)
    weights = {key: p.weights.tolist() for key, p in found[True].items()}
    assert weights == {
        (0, 'class'): [pytest.approx(.9)],
        (0, 'context'): [pytest.approx(.8)],
        (2, 'class'): [1.],
        (2, 'context'): []
    }
    assert found[False][0, 'class'].weights.tolist() == [1.]


def test_directions_of_seeds_and_numbers_of_clusters(tiny, voc_mini):
    averaged = tiny.build()
    builder(voc_mini, num_clusters=(2, 3), num_seeds=2, seed=4).build(averaged)
    singles = []
    for number in (2, 3):
        for seed in (4, 5):
            model = tiny.build(num_clusters=number)
            # the draws of features do not bite on so few images
            builder(voc_mini, seed=seed).build(model)
            singles.append(model.decode_head.bank.directions())
    torch.testing.assert_close(averaged.decode_head.bank.directions(),
                               torch.stack(singles).mean(0))
    assert (singles[0] - singles[3]).abs().max() > 1e-3


def test_clusters_need_room_in_the_head(tiny, voc_mini):
    with pytest.raises(ValueError, match='`num_clusters` 4 .* CAMHead, 3'):
        builder(voc_mini, num_clusters=[2, 4]).build(tiny.build())
    with pytest.raises(ValueError, match='`num_clusters` must be at least 1'):
        builder(voc_mini, num_clusters=0)
    with pytest.raises(ValueError, match='`num_seeds` must be at least 1'):
        builder(voc_mini, num_seeds=0)


@pytest.mark.parametrize('backend', ['torch', 'sklearn'])
def test_soft_weights_reach_the_clustering(tiny, voc_mini, backend):
    hard, soft = tiny.build(), tiny.build()
    builder(voc_mini, backend=backend).build(hard)
    builder(voc_mini, backend=backend, soft=True).build(soft)
    assert not same(state(hard), state(soft))
