import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

from mmlpcam.models import CRFTTAModel, crf_tta
from mmlpcam.ops import DenseCRF

CRF = dict(
    num_iters=10,
    gaussian_sxy=1,
    gaussian_compat=3,
    bilateral_sxy=67,
    bilateral_srgb=3,
    bilateral_compat=4)
SIZE = (40, 50)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Segmentor(nn.Module):
    """Stands for a segmentor whose predictions are there already."""

    def __init__(self, out_channels=4):
        super().__init__()
        self.out_channels = out_channels

    def test_step(self, data):
        return data['data_samples']


def build(out_channels=4, **kwargs):
    return CRFTTAModel(Segmentor(out_channels), **{'crf': CRF, **kwargs})


@pytest.fixture
def photo(tmp_path):
    """Two areas of different colours, with noise."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 6, (*SIZE, 3)).astype(np.uint8)
    image[:, 20:] += np.array([200, 90, 10], np.uint8)
    path = tmp_path / 'photo.png'
    Image.fromarray(image).save(path)
    return str(path)


def blobs(num_classes, seed=0):
    """Smooth logits, so that a CRF has regions to work on."""
    small = randn(1, num_classes, 5, 6, seed=seed) * 2
    return torch.nn.functional.interpolate(small, SIZE, mode='bilinear')[0]


def views(photo, *logits, **fields):
    return [
        SegDataSample(
            metainfo=dict(img_path=photo, ori_shape=SIZE, flip=bool(i)),
            seg_logits=PixelData(data=one),
            **fields) for i, one in enumerate(logits)
    ]


def mean_softmax(logits):
    exps = [np.exp(one.double().numpy()) for one in logits]
    return np.mean([exp / exp.sum(0) for exp in exps], 0).astype(np.float32)


@pytest.fixture
def spy(monkeypatch):
    """Let CRFs return what they are given, and note it."""
    calls = []

    def same(crfs, unaries):
        found = [np.exp(-unary) for unary in unaries]
        calls.append([(crf, probs[0]) for crf, probs in zip(crfs, found)])
        return found

    monkeypatch.setattr(crf_tta, 'infer_many', same)
    return calls


def test_crf_gets_the_image_and_the_mean_of_the_views(photo, spy):
    logits = [blobs(4, seed) for seed in range(3)]
    merged, = build(min_prob=0).merge_preds([views(photo, *logits)])
    ((crf, probs), ), = spy
    assert np.array_equal(crf.image, np.asarray(Image.open(photo)))
    assert crf.settings == CRF and crf.device == torch.device('cpu')
    np.testing.assert_allclose(probs, mean_softmax(logits), atol=1e-6)
    # without a CRF, the mask is that of mmseg
    plain, = SegTTAModel(Segmentor()).merge_preds([views(photo, *logits)])
    assert torch.equal(merged.pred_sem_seg.data, plain.pred_sem_seg.data)


def test_result_is_the_crf_of_the_mean(photo):
    logits = [blobs(4, seed) for seed in range(2)]
    target = PixelData(data=torch.ones(1, *SIZE))
    merged, = build(min_prob=0).merge_preds(
        [views(photo, *logits, gt_sem_seg=target)])
    crf = DenseCRF(np.array(Image.open(photo)), **CRF)
    want = crf.refine_scores(mean_softmax(logits))
    np.testing.assert_allclose(merged.seg_logits.data, want, atol=1e-4)
    assert merged.pred_sem_seg.data.shape == (1, *SIZE)
    assert np.array_equal(merged.pred_sem_seg.data[0], want.argmax(0))
    assert (want.argmax(0) != mean_softmax(logits).argmax(0)).mean() > .02
    assert merged.img_path == photo
    assert merged.gt_sem_seg.data.all()


def test_images_of_a_batch_are_merged_by_themselves(photo, spy):
    first, second = blobs(4, 0), blobs(4, 1)
    # two equal views of two images
    merged = build().test_step(
        dict(data_samples=[views(photo, first, second)] * 2))
    assert [[len(probs) for _, probs in call] for call in spy] == [[4, 4]]
    assert len(merged) == 2
    assert torch.equal(merged[0].pred_sem_seg.data[0], first.argmax(0))
    assert torch.equal(merged[1].pred_sem_seg.data[0], second.argmax(0))


def test_a_batch_equals_each_image_alone(photo):
    model = build()
    probs = [blobs(4, 0).softmax(0), (4 * blobs(3, 1)).softmax(0)]
    together = model.refine(probs, [photo, photo])
    for each, found in zip(probs, together):
        alone, = model.refine([each], [photo])
        assert torch.equal(found, alone)


def test_only_classes_that_matter_take_part(photo, spy):
    probs = torch.zeros(5, *SIZE)
    probs[0], probs[2] = .6, .4
    probs[1, 3, 4] = .05  # reached at one pixel
    probs[4, :, 7] = .04  # never
    merged, = build(5, min_prob=.05).refine([probs], [photo])
    ((_, chosen), ), = spy
    assert chosen.shape[0] == 3
    np.testing.assert_allclose(chosen.sum(0), 1, atol=2e-5)
    want = probs.clone()
    want[4] = 0
    torch.testing.assert_close(merged, want / want.sum(0), atol=2e-5, rtol=0)


def test_winners_take_part_whatever_the_threshold(photo, spy):
    logits = blobs(4) / 100  # all probabilities are about 1/4
    merged, = build(min_prob=.9).merge_preds([views(photo, logits)])
    assert torch.equal(merged.pred_sem_seg.data[0], logits.argmax(0))


def test_one_certain_class(photo):
    logits = torch.zeros(4, *SIZE)
    logits[2] = 20
    merged, = build().merge_preds([views(photo, logits)])
    assert (merged.pred_sem_seg.data == 2).all()
    assert merged.seg_logits.data[2].eq(1).all()


def test_left_out_classes_hardly_change_the_result(photo):
    """Four classes among 81, the others up to nearly `min_prob`."""
    min_prob = .01
    logits = torch.full((81, *SIZE), -20.)
    logits[[0, 7, 30, 80]] = blobs(4) * 2
    probs = logits.softmax(0)
    noise = torch.rand(
        81, *SIZE, generator=torch.Generator().manual_seed(0)) * 5e-4
    noise[[0, 7, 30, 80]] = 0
    noise[5] *= 19
    probs = (probs * (1 - noise.sum(0)) + noise)
    assert .005 < probs[5].max() < min_prob
    some, = build(81, min_prob=min_prob).refine([probs], [photo])
    exact, = build(81, min_prob=0).refine([probs], [photo])
    left_out = [c for c in range(81) if c not in (0, 7, 30, 80)]
    assert not some[left_out].any()
    assert exact[left_out].amax() < min_prob * np.exp(7 * min_prob)
    assert (some - exact).abs().max() < .05
    assert (some.argmax(0) != exact.argmax(0)).float().mean() < .001
    assert len(some.argmax(0).unique()) > 1


def test_no_loss_where_left_out_classes_have_no_probability(photo):
    probs = torch.zeros(81, *SIZE)
    probs[[3, 4, 50]] = blobs(3).softmax(0)
    some, = build(81).refine([probs], [photo])
    alone, = build(3, min_prob=0).refine([probs[[3, 4, 50]]], [photo])
    assert torch.equal(some[[3, 4, 50]], alone)


def test_other_sizes_than_that_of_the_image_are_refused(photo):
    with pytest.raises(ValueError, match=r'\(40, 50\).*\(20, 50\)'):
        build().refine([torch.rand(4, 20, 50)], [photo])


@pytest.mark.parametrize('min_prob', [-.1, 1])
def test_threshold_must_be_a_probability(min_prob):
    with pytest.raises(ValueError, match='`min_prob`'):
        build(min_prob=min_prob)


def test_sigmoid_outputs_are_refused():
    with pytest.raises(ValueError, match='out_channels=2'):
        build(1)
