import sys

import numpy as np
import pytest
from PIL import Image

from mmlpcam.converters.parts import draw_parts_sample
from mmlpcam.ops import DenseCRF, dense_crf, label_unary, softmax_unary
from mmlpcam.ops.dense_crf import infer_many

COLORS = np.array([(200, 60, 40), (40, 90, 210), (90, 160, 60)])


@pytest.fixture(params=['torch', 'pydensecrf'])
def backend(request):
    if request.param == 'pydensecrf':
        pytest.importorskip('pydensecrf')
    return request.param


def scene(height=12, width=10, seed=0, noise=6.):
    """Three regions of like colours and labels that are partly wrong."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((height, width), np.int64)
    truth[:, width // 2:] = 1
    truth[:height // 3] = 2
    image = COLORS[truth] + rng.normal(0, noise, (height, width, 3))
    labels = np.where(
        rng.random(truth.shape) < .2, rng.integers(0, 3, truth.shape), truth)
    return image.clip(0, 255).astype(np.uint8), labels, truth


def soften(labels, seed=0):
    """Random probabilities that lean towards the labels."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(3, *labels.shape))
    scores += labels == np.arange(3)[:, None, None]
    return np.exp(scores) / np.exp(scores).sum(0)


def softmax(scores):
    exps = np.exp(scores - scores.max(0))
    return exps / exps.sum(0)


def exact(image,
          unary,
          gaussian_sxy=3.,
          gaussian_compat=3.,
          bilateral_sxy=50.,
          bilateral_srgb=5.,
          bilateral_compat=10.,
          num_iters=10):
    """Mean field inference with the kernels over all pairs of pixels."""

    def kernel(*features):
        points = np.concatenate(
            features, axis=-1).reshape(image[..., 0].size, -1)
        values = np.exp(-((points[:, None] - points)**2).sum(-1) / 2)
        root = np.sqrt(values.sum(1))
        return values / root / root[:, None]

    places = np.stack(np.indices(image.shape[:2]), -1)
    pairwise = (
        gaussian_compat * kernel(places / gaussian_sxy) + bilateral_compat *
        kernel(places / bilateral_sxy, image / bilateral_srgb))
    flat = unary.reshape(len(unary), -1).astype(np.float64)
    probs = softmax(-flat)
    for _ in range(num_iters):
        probs = softmax(-flat + probs @ pairwise)
    return probs.reshape(unary.shape)


def agreement(image, labels, num_labels):
    """Share of pixels that both backends give the same label."""
    one, other = (
        DenseCRF(image, backend=backend).refine_labels(labels, num_labels)
        for backend in ('torch', 'pydensecrf'))
    assert (one != labels).mean() > .005  # there was something to decide
    return (one == other).mean()


def coarse(mask, cell):
    """Labels 0 to L - 1 of a mask with blocks in place of outlines."""
    height, width = mask.shape
    picked = mask[cell // 2::cell, cell // 2::cell]
    rows, columns = (np.minimum(np.arange(size) // cell, limit - 1)
                     for size, limit in zip(mask.shape, picked.shape))
    names, labels = np.unique(
        picked[rows[:, None], columns], return_inverse=True)
    return labels.reshape(height, width), len(names)


# --- against pydensecrf ---------------------------------------------------


def test_agrees_with_pydensecrf_on_photos(coco_mini):
    pytest.importorskip('pydensecrf')
    shares = []
    for path in sorted(coco_mini.glob('train2017/*.jpg'))[:10]:
        mask = np.asarray(
            Image.open(coco_mini / 'masks/train2017' / f'{path.stem}.png'))
        image = np.asarray(Image.open(path).convert('RGB'))
        labels, num_labels = coarse(np.where(mask == 255, 0, mask), 16)
        assert num_labels > 1
        shares.append(agreement(image, labels, num_labels))
    assert len(shares) == 10
    assert np.mean(shares) >= .999 and min(shares) >= .998


def test_agrees_with_pydensecrf_on_drawn_images():
    pytest.importorskip('pydensecrf')
    shares = []
    for i in range(10):
        sample = draw_parts_sample(0, 'train', i)
        shares.append(agreement(sample.image, *coarse(sample.mask, 16)))
    assert np.mean(shares) >= .999 and min(shares) >= .998


@pytest.mark.parametrize('settings', [
    dict(),
    dict(num_iters=1),
    dict(gaussian_compat=0., num_iters=3),
    dict(bilateral_compat=0., gaussian_compat=.5),
    dict(
        gaussian_sxy=1.,
        bilateral_sxy=67.,
        bilateral_srgb=3.,
        bilateral_compat=4.),
])
def test_probabilities_of_both_backends(settings):
    pytest.importorskip('pydensecrf')
    image, labels, _ = scene(60, 81)
    one, other = (
        DenseCRF(image, backend=backend,
                 **settings).refine_scores(soften(labels))
        for backend in ('torch', 'pydensecrf'))
    # Pixels on a face of two simplices may fall to either by rounding.
    np.testing.assert_allclose(one, other, atol=2e-3)
    assert abs(one - other).mean() < 1e-5


def test_unaries_equal_those_of_pydensecrf():
    utils = pytest.importorskip('pydensecrf.utils')
    labels = scene()[1]
    for num_labels, gt_prob in [(3, .7), (5, .4)]:
        np.testing.assert_allclose(
            label_unary(labels, num_labels, gt_prob).reshape(num_labels, -1),
            utils.unary_from_labels(
                labels, num_labels, gt_prob, zero_unsure=False),
            rtol=1e-6)
    probs = soften(labels)
    probs[0, :4] = 0
    np.testing.assert_allclose(
        softmax_unary(probs).reshape(3, -1),
        utils.unary_from_softmax(probs),
        rtol=1e-5,
        atol=1e-6)


# --- against the exact kernels --------------------------------------------


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('size', [(12, 10), (24, 20)])
def test_close_to_the_exact_kernels(backend, size, seed):
    image, labels, _ = scene(*size, seed=seed, noise=2.)
    unary = label_unary(labels, 3)
    expected = exact(image, unary)
    probs = DenseCRF(image, backend=backend).infer(unary)
    np.testing.assert_allclose(probs, expected, atol=.005)
    np.testing.assert_array_equal(probs.argmax(0), expected.argmax(0))


@pytest.mark.parametrize('name, settings', [
    ('gaussian_sxy', dict(gaussian_sxy=2., bilateral_compat=0.)),
    ('gaussian_compat', dict(bilateral_compat=0.)),
    ('bilateral_sxy',
     dict(bilateral_sxy=4., bilateral_srgb=40., gaussian_compat=0.)),
    ('bilateral_srgb',
     dict(bilateral_sxy=8., bilateral_srgb=15., gaussian_compat=0.)),
    ('bilateral_compat', dict(bilateral_srgb=20., gaussian_compat=0.)),
    ('num_iters', dict(bilateral_srgb=20., num_iters=3)),
])
def test_parameters_mean_what_the_formula_says(backend, name, settings):
    """The exact kernels with another value are farther off."""
    settings = {
        **dict(gaussian_compat=1., bilateral_compat=1., num_iters=1),
        **settings
    }
    image, labels, _ = scene(16, 20, noise=12)
    probs = soften(labels)
    refined = DenseCRF(image, backend=backend, **settings).refine_scores(probs)

    def error(value):
        expected = exact(image, -np.log(probs), **{**settings, name: value})
        return abs(refined - expected).mean()

    value = settings[name]
    others = (2, 4) if name == 'num_iters' else (.67 * value, 1.5 * value)
    assert error(value) < .0015
    assert error(value) < .8 * min(map(error, others))


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (5, 1), (2, 2)])
def test_tiny_images(backend, size):
    image, labels, _ = scene(*size)
    unary = label_unary(labels, 3)
    probs = DenseCRF(image, backend=backend).infer(unary)
    assert probs.shape == (3, *size)
    np.testing.assert_allclose(probs, exact(image, unary), atol=.02)


# --- what it does ---------------------------------------------------------


def test_labels_snap_to_the_edges(backend):
    """Wrong labels amid a region and beyond its edges are repaired."""
    image, _, truth = scene(30, 40, noise=2.)
    labels = np.roll(truth, 2, axis=1)
    labels[20:22, 30:33] = 0
    assert (labels != truth).mean() > .05
    refined = DenseCRF(image, backend=backend).refine_labels(labels, 3)
    np.testing.assert_array_equal(refined, truth)


def test_probabilities(backend):
    image, labels, _ = scene()
    probs = DenseCRF(image, backend=backend).refine_scores(soften(labels))
    assert probs.dtype == np.float32 and probs.shape == (3, 12, 10)
    assert probs.min() >= 0
    np.testing.assert_allclose(probs.sum(0), 1, rtol=1e-5)


def test_no_opinion_stays_none(backend):
    image = scene()[0]
    probs = DenseCRF(
        image, backend=backend).refine_scores(np.full((4, 12, 10), .25))
    np.testing.assert_allclose(probs, .25, atol=1e-6)


def test_order_of_labels_plays_no_part(backend):
    image, labels, _ = scene()
    crf = DenseCRF(image, backend=backend)
    unary = label_unary(labels, 3)
    order = [2, 0, 1]
    np.testing.assert_allclose(
        crf.infer(unary[order]), crf.infer(unary)[order], atol=1e-5)


def test_large_energies_do_not_overflow(backend):
    image, labels, _ = scene()
    unary = 1e4 * label_unary(labels, 3)
    probs = DenseCRF(image, backend=backend).infer(unary)
    np.testing.assert_allclose(
        probs, labels == np.arange(3)[:, None, None], atol=1e-6)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.int64])
def test_type_of_labels(backend, dtype):
    image, labels, _ = scene()
    crf = DenseCRF(image, backend=backend)
    refined = crf.refine_labels(labels.astype(dtype), 3)
    assert refined.dtype == dtype
    np.testing.assert_array_equal(refined, crf.refine_labels(labels, 3))


def test_one_label(backend):
    image, labels, _ = scene()
    crf = DenseCRF(image, backend=backend)
    zeros = np.zeros_like(labels)
    refined = crf.refine_labels(zeros, 1)
    assert refined.dtype == zeros.dtype and refined is not zeros
    np.testing.assert_array_equal(refined, zeros)
    for probs in (crf.infer(np.full(
        (1, 12, 10), 7.)), crf.refine_scores(np.ones((1, 12, 10)))):
        assert probs.dtype == np.float32
        np.testing.assert_array_equal(probs, np.ones((1, 12, 10)))


# --- sharing and memory ---------------------------------------------------


def test_shared_object_equals_separate_ones(backend):
    image, labels, truth = scene()
    unaries = [
        label_unary(labels, 3),
        label_unary(truth, 3),
        label_unary(labels, 5),
        label_unary(labels, 3)
    ]
    shared = DenseCRF(image, backend=backend)
    for unary in unaries:
        np.testing.assert_array_equal(
            shared.infer(unary),
            DenseCRF(image, backend=backend).infer(unary))


def test_images_of_one_size_do_not_mix(backend):
    """The Gaussian kernel is kept by size and deviation only."""
    image, labels, _ = scene()
    other = scene(seed=1)[0]
    unary = label_unary(labels, 3)
    first = DenseCRF(image, backend=backend).infer(unary)
    DenseCRF(other, backend=backend).infer(unary)
    DenseCRF(image, gaussian_sxy=1., backend=backend).infer(unary)
    DenseCRF(image.swapaxes(0, 1), backend=backend).infer(unary.swapaxes(1, 2))
    np.testing.assert_array_equal(
        DenseCRF(image, backend=backend).infer(unary), first)


def test_images_of_a_batch_do_not_meet(monkeypatch):
    """As on a GPU: one lattice for images of other sizes and labels."""
    monkeypatch.setattr(dense_crf, '_groups', lambda crfs: [list(crfs)])
    scenes = [
        scene(*size, seed=size[0]) for size in [(12, 10), (1, 3), (8, 9)]
    ]
    crfs = [DenseCRF(image) for image, _, _ in scenes]
    unaries = [
        np.stack([label_unary(labels, num),
                  label_unary(truth, num)])
        for num, (_, labels, truth) in zip([3, 4, 3], scenes)
    ]
    found = infer_many(crfs, unaries)
    for crf, unary, probs in zip(crfs, unaries, found):
        assert probs.shape == unary.shape
        for one, expected in zip(probs, unary):
            np.testing.assert_allclose(one, crf.infer(expected), atol=1e-5)


def test_problems_on_one_image_do_not_mix(backend):
    image, labels, truth = scene()
    crf = DenseCRF(image, backend=backend)
    unary = np.stack([label_unary(each, 3) for each in (labels, truth)])
    both, = infer_many([crf], [unary])
    for one, expected in zip(both, unary):
        np.testing.assert_allclose(one, crf.infer(expected), atol=1e-6)


def test_memory_layout_plays_no_part(backend):
    image, labels, _ = scene()
    unary = label_unary(labels, 3)
    expected = DenseCRF(image, backend=backend).infer(unary)
    wide = np.repeat(image, 2, axis=1)[:, ::2]
    bgr = np.ascontiguousarray(image[..., ::-1])
    readonly = image.copy()
    readonly.flags.writeable = False
    for same in (np.asfortranarray(image), wide, bgr[..., ::-1], readonly):
        crf = DenseCRF(same, backend=backend)
        np.testing.assert_array_equal(crf.infer(unary), expected)
    crf = DenseCRF(image, backend=backend)
    frozen = unary.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(unary), unary.astype(np.float64), frozen,
                 np.repeat(unary, 2, axis=2)[..., ::2]):
        np.testing.assert_array_equal(crf.infer(same), expected)
    np.testing.assert_array_equal(
        crf.refine_labels(np.asfortranarray(labels), 3), expected.argmax(0))


def test_inputs_are_left_alone(backend):
    image, labels, _ = scene()
    probs = soften(labels).astype(np.float32)
    unary = softmax_unary(probs)
    copies = [array.copy() for array in (image, labels, probs, unary)]
    crf = DenseCRF(image, backend=backend)
    crf.infer(unary)
    crf.refine_labels(labels, 3)
    crf.refine_scores(probs)
    for array, copy in zip((image, labels, probs, unary), copies):
        np.testing.assert_array_equal(array, copy)


def test_a_change_of_the_image_comes_too_late(backend):
    image, labels, _ = scene()
    unary = label_unary(labels, 3)
    expected = DenseCRF(image, backend=backend).infer(unary)
    crf = DenseCRF(image, backend=backend)
    image[:] = 0
    np.testing.assert_array_equal(crf.infer(unary), expected)


# --- unaries by hand ------------------------------------------------------


def test_label_unary_by_hand():
    unary = label_unary(np.array([[0, 2], [1, 1]]), 3, gt_prob=.8)
    assert unary.dtype == np.float32
    np.testing.assert_allclose(
        np.exp(-unary),
        [[[.8, .1], [.1, .1]], [[.1, .1], [.8, .8]], [[.1, .8], [.1, .1]]],
        rtol=1e-6)
    np.testing.assert_allclose(
        np.exp(-label_unary(np.array([[0]]), 4))[:, 0, 0], [.7, .1, .1, .1],
        rtol=1e-6)
    np.testing.assert_array_equal(
        label_unary(np.zeros((2, 3), int), 1), np.zeros((1, 2, 3)))


def test_softmax_unary_by_hand():
    unary = softmax_unary(np.array([0., 1e-7, .25, 1.]))
    assert unary.dtype == np.float32
    np.testing.assert_allclose(
        unary,
        [np.log(1e5), np.log(1e5), np.log(4), 0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        softmax_unary(np.array([.01, .5]), min_prob=.1),
        [np.log(10), np.log(2)],
        rtol=1e-6)


def test_refining_starts_from_the_unaries(backend):
    image, labels, _ = scene()
    crf = DenseCRF(image, backend=backend)
    np.testing.assert_array_equal(
        crf.refine_labels(labels, 3, gt_prob=.4),
        crf.infer(label_unary(labels, 3, .4)).argmax(0))
    probs = soften(labels)
    np.testing.assert_array_equal(
        crf.refine_scores(probs), crf.infer(softmax_unary(probs)))


# --- choice of the backend ------------------------------------------------


def test_auto_takes_what_is_always_there(monkeypatch):
    image = scene()[0]
    assert DenseCRF(image).backend == 'torch'
    monkeypatch.setitem(sys.modules, 'pydensecrf', None)
    monkeypatch.setitem(sys.modules, 'pydensecrf.densecrf', None)
    assert DenseCRF(image).backend == 'torch'
    with pytest.raises(ImportError, match='pip install pydensecrf2.*"torch"'):
        DenseCRF(image, backend='pydensecrf')


# --- errors ---------------------------------------------------------------


@pytest.mark.parametrize('image, error, message', [
    (np.zeros((4, 5, 3)), TypeError, 'uint8, but got float64: pass the image'),
    ([[[0, 0, 0]]], TypeError, 'uint8, but got list'),
    (np.zeros((4, 5), np.uint8), ValueError, r'\(H, W, 3\).*\(4, 5\)'),
    (np.zeros((3, 4, 5), np.uint8), ValueError, r'got \(3, 4, 5\)'),
    (np.zeros((0, 5, 3), np.uint8), ValueError, r'got \(0, 5, 3\)'),
])
def test_image_errors(image, error, message):
    with pytest.raises(error, match=message):
        DenseCRF(image, backend='torch')


@pytest.mark.parametrize('settings, message', [
    (dict(gaussian_sxy=0), '`gaussian_sxy` must be positive, but got 0'),
    (dict(bilateral_sxy=-1.), '`bilateral_sxy` must be positive'),
    (dict(bilateral_srgb=np.nan), '`bilateral_srgb` must be.* got nan'),
    (dict(gaussian_compat=-1), '`gaussian_compat` must not be negative'),
    (dict(bilateral_compat=np.inf), '`bilateral_compat` must not.* got inf'),
    (dict(num_iters=0), '`num_iters` must be at least 1, but got 0'),
    (dict(backend='cuda'), r"one of \('auto', 'torch', .*but got 'cuda'"),
])
def test_setting_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF(scene()[0], **{**dict(backend='torch'), **settings})


@pytest.mark.parametrize('unary, message', [
    (np.zeros((12, 10)), r'`unary`.*\(L, 12, 10\).*got \(12, 10\) float64'),
    (np.zeros((2, 10, 12)), r'got \(2, 10, 12\)'),
    (np.zeros((0, 12, 10)), r'got \(0, 12, 10\)'),
    (np.zeros((2, 12, 10), int), 'got .* int64'),
    (np.full((2, 12, 10), np.inf), r'finite `unary`.*softmax_unary\(\)'),
    (np.full((2, 12, 10), np.nan), 'finite `unary`'),
])
def test_unary_errors(backend, unary, message):
    with pytest.raises(ValueError, match=message):
        DenseCRF(scene()[0], backend=backend).infer(unary)


@pytest.mark.parametrize('labels, num_labels, gt_prob, error, message', [
    (np.zeros((12, 10)), 2, .7, TypeError, 'integer type, but got float64'),
    (np.zeros(
        (10, 12), int), 2, .7, ValueError, r'\(12, 10\), but got \(10, 12\)'),
    (np.full((12, 10), 255), 3, .7, ValueError,
     r'num_labels = 3\), but they span \[255, 255\].*ignored'),
    (np.full((12, 10), -1), 3, .7, ValueError, r'span \[-1, -1\]'),
    (np.zeros((12, 10), int), 0, .7, ValueError, 'num_labels = 0'),
    (np.zeros((12, 10), int), 2, 1., ValueError, 'between 0 and 1.* got 1.0'),
])
def test_label_errors(labels, num_labels, gt_prob, error, message):
    with pytest.raises(error, match=message):
        DenseCRF(
            scene()[0], backend='torch').refine_labels(labels, num_labels,
                                                       gt_prob)


def test_labels_of_a_wrong_shape():
    with pytest.raises(ValueError, match=r'\(H, W\), not empty.*\(2, 3, 4\)'):
        label_unary(np.zeros((2, 3, 4), int), 2)


def test_score_errors():
    crf = DenseCRF(scene()[0], backend='torch')
    with pytest.raises(ValueError, match=r'`probs` of the size.*\(2, 4, 5\)'):
        crf.refine_scores(np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match=r'span \[-3, 2.5\]: apply a softmax'):
        crf.refine_scores(np.linspace(-3, 2.5, 240).reshape(2, 12, 10))
    with pytest.raises(ValueError, match='span .*nan'):
        softmax_unary(np.array([.5, np.nan]))
    with pytest.raises(ValueError, match='`min_prob`.*got 0'):
        softmax_unary(np.array([.5]), min_prob=0)


def test_too_many_cells():
    image, labels, _ = scene()
    with pytest.raises(ValueError, match=r'too small: about 2\^\d+ cells'):
        DenseCRF(
            image, bilateral_srgb=1e-3,
            backend='torch').refine_labels(labels, 3)
