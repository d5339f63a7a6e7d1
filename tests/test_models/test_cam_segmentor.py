import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.structures import ActivationMaps

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def samples(*metas):
    return [SegDataSample(metainfo=meta) for meta in metas]


def labeled(*labels):
    return samples(*(dict(img_labels=la) for la in labels))


def with_maps(model, monkeypatch, maps):
    """Serve maps in place of the model's, for classes in ascending order."""

    def serve(model, images, labels, map_types, settings):
        return [
            dict.fromkeys(
                map_types,
                ActivationMaps(present, [image[list(present)]],
                               image.shape[-2:], image.shape[-2:], 'cam'))
            for image, present in zip(maps, labels)
        ]

    monkeypatch.setattr('mmlpcam.models.map_inference.multi_scale_maps', serve)
    return model


# --- maps and masks -------------------------------------------------------


def test_cam_equals_a_plain_multi_scale_cam(tiny):
    model = tiny.build(map_type='cam')
    images = randn(1, 3, 37, 50)
    weight = model.decode_head.conv_seg.weight[:, :, 0, 0]
    full = 0
    with torch.no_grad():
        for height, width in [(37, 50), (18, 25)]:
            image = F.interpolate(
                images, (height, width), mode='bicubic',
                antialias=True) if height != 37 else images
            both = []
            for view in (image, image.flip(3)):
                feats = model.backbone(view)[-1]
                both.append(
                    torch.einsum('cd,ndhw->nchw', weight, feats).relu())
            cam = both[0] + both[1].flip(3)
            full = full + F.interpolate(cam, (48, 64), mode='bilinear')
    full = full[:, :, :37, :50]
    full = full / (full.amax((2, 3), keepdim=True) + 2e-5)
    sample = model.predict(images, labeled((0, 1, 2)))[0]
    torch.testing.assert_close(
        sample.activation.cam, full[0], rtol=0, atol=1e-5)
    assert full.amax((2, 3)).min() > .9


def test_masks_agree_with_the_maps(tiny):
    model = tiny.build(
        with_bank=True, bg_thr=.6, extra_map_types=('cam', 'lpcam_f'))
    sample = model.predict(randn(1, 3, 33, 48), labeled((0, 2)))[0]
    assert set(sample.activation.keys()) == {'lpcam', 'cam', 'lpcam_f'}
    maps = sample.activation.lpcam
    mask = sample.pred_sem_seg.data
    assert mask.shape == (1, 33, 48)
    expected = torch.zeros(33, 48, dtype=torch.int64)
    for y in range(33):
        for x in range(48):
            a, b = maps[:, y, x].tolist()
            if max(a, b) > torch.tensor(.6):
                expected[y, x] = 1 if a >= b else 3
    assert torch.equal(mask[0], expected)
    assert set(expected.unique().tolist()) >= {0, 3}
    assert torch.equal(sample.scale_maps.full(), maps)
    assert sample.scale_maps.strided().shape == (2, 9, 12)


def test_ties_go_to_the_background_then_to_the_lower_class(tiny, monkeypatch):
    # the last column keeps the maps as they are: their maximum is 1
    maps = torch.zeros(1, 3, 1, 5)
    maps[0, :, 0] = torch.tensor([[.3, .4, .3001, .2, 1.], [0.] * 5,
                                  [.3, .4, .3, .1, 1.]])
    model = with_maps(tiny.build(bg_thr=.3), monkeypatch, maps)
    sample = model.predict(torch.zeros(1, 3, 1, 5), labeled((0, 2)))[0]
    assert sample.pred_sem_seg.data.tolist() == [[[0, 1, 1, 0, 1]]]


@pytest.mark.parametrize('bg_thr, expected', [(0., [0, 3, 3, 2]),
                                              (.5, [0, 0, 3, 2]),
                                              (1., [0, 0, 0, 0])])
def test_background_threshold(tiny, monkeypatch, bg_thr, expected):
    maps = torch.zeros(1, 3, 1, 4)
    maps[0, :, 0] = torch.tensor([[1., 1., 1., 1.], [0., .1, .6, 1.],
                                  [0., .4, .9, .9]])
    model = with_maps(tiny.build(bg_thr=bg_thr), monkeypatch, maps)
    # class 0 is not in the image
    sample = model.predict(torch.zeros(1, 3, 1, 4), labeled((1, 2)))[0]
    assert sample.pred_sem_seg.data.tolist() == [[expected]]


def test_maps_follow_the_order_of_the_labels(tiny):
    model = tiny.build(with_bank=True)
    image = randn(1, 3, 32, 32)
    one, two = (
        model.predict(image, labeled(order))[0] for order in [(0, 2), (2, 0)])
    assert two.img_labels == (2, 0)
    assert torch.equal(two.activation.lpcam, one.activation.lpcam.flip(0))
    assert two.scale_maps.labels == (2, 0)
    assert torch.equal(two.scale_maps.strided(),
                       one.scale_maps.strided().flip(0))
    assert torch.equal(two.pred_sem_seg.data, one.pred_sem_seg.data)


def test_image_without_labels_is_background(tiny):
    model = tiny.build(with_bank=True, bg_thr=0., extra_map_types=('cam', ))
    sample = model.predict(randn(1, 3, 33, 48), labeled(()))[0]
    assert sample.pred_sem_seg.data.shape == (1, 33, 48)
    assert not sample.pred_sem_seg.data.any()
    for kind in ('lpcam', 'cam'):
        assert sample.activation.get(kind).shape == (0, 33, 48)
    assert sample.scale_maps.strided().shape == (0, 9, 12)
    assert sample.img_labels == ()


# --- batches --------------------------------------------------------------


@pytest.mark.parametrize('labels', [((0, ), (1, 2)), ((2, ), ()),
                                    ((0, 1), (0, 1)), ((), ())])
def test_batch_equals_each_image_alone(tiny, labels):
    model = tiny.build(with_bank=True, bg_thr=.5, extra_map_types=('cam', ))
    images = randn(2, 3, 33, 40)
    together = model.predict(images, labeled(*labels))
    for n in range(2):
        alone = model.predict(images[n:n + 1], labeled(labels[n]))[0]
        assert together[n].img_labels == alone.img_labels == labels[n]
        for kind in ('lpcam', 'cam'):
            torch.testing.assert_close(
                together[n].activation.get(kind),
                alone.activation.get(kind),
                rtol=0,
                atol=1e-5)
        torch.testing.assert_close(
            together[n].scale_maps.strided(),
            alone.scale_maps.strided(),
            rtol=0,
            atol=1e-5)
        differ = together[n].pred_sem_seg.data != alone.pred_sem_seg.data
        assert differ.float().mean() < .01


# --- labels ---------------------------------------------------------------


@pytest.mark.parametrize('given, use', [(None, True), ({}, True),
                                        (dict(img_labels=(0, 1, 2)), False)])
def test_predicted_labels(tiny, given, use):
    model = tiny.build(map_type='cam', use_image_labels=use)
    model.decode_head.conv_seg.weight.data[1] *= -1
    image = randn(1, 3, 40, 40)
    logits = model.decode_head.classify(model.extract_feat(image))[0]
    expected = tuple(torch.nonzero(logits > 0).flatten().tolist())
    assert 0 < len(expected) < 3
    sample = model.predict(image, None if given is None else samples(given))[0]
    assert sample.img_labels == expected
    known = model.predict(image, labeled(expected))
    assert torch.equal(known[0].activation.cam, sample.activation.cam)


def test_nothing_predicted(tiny):
    model = tiny.build(map_type='cam')
    model.decode_head.conv_seg.weight.data.fill_(-1.)
    sample = model.predict(randn(1, 3, 20, 20))[0]
    assert sample.img_labels == ()
    assert not sample.pred_sem_seg.data.any()


# --- sizes ----------------------------------------------------------------


def test_maps_are_resized_to_the_original_image(tiny):
    model = tiny.build(with_bank=True, bg_thr=.5)
    image = randn(1, 3, 32, 48)
    small = model.predict(image, labeled((1, )))[0]
    metas = dict(img_labels=(1, ), ori_shape=(50, 70, 3))
    large = model.predict(image, samples(metas))[0]
    expected = F.interpolate(
        small.activation.lpcam[None], (50, 70), mode='bilinear')[0]
    torch.testing.assert_close(large.activation.lpcam, expected)
    assert large.pred_sem_seg.data.shape == (1, 50, 70)
    assert torch.equal(large.pred_sem_seg.data[0] == 2, expected[0] > .5)
    # these are for the refinement of the input itself
    assert torch.equal(large.scale_maps.strided(), small.scale_maps.strided())


def test_original_size_without_labels(tiny):
    sample = tiny.build(with_bank=True).predict(
        randn(1, 3, 32, 48), samples(dict(img_labels=(), ori_shape=(9, 7))))[0]
    assert sample.activation.lpcam.shape == (0, 9, 7)
    assert sample.pred_sem_seg.data.shape == (1, 9, 7)


def test_padding_of_the_preprocessor_plays_no_part(tiny):
    image = (127 + 40 * randn(3, 33, 40)).clamp(0, 255).byte()
    results = []
    for preprocessor in (dict(), dict(test_cfg=dict(size_divisor=32))):
        model = tiny.build(with_bank=True, preprocessor=preprocessor)
        sample = SegDataSample(
            metainfo=dict(img_labels=(0, 1), ori_shape=(33, 40)))
        with torch.no_grad():
            results += model.test_step(
                dict(inputs=[image], data_samples=[sample]))
    plain, padded = results
    assert padded.pad_shape == (64, 64)
    assert torch.equal(plain.activation.lpcam, padded.activation.lpcam)
    assert torch.equal(plain.pred_sem_seg.data, padded.pred_sem_seg.data)


# --- refusals -------------------------------------------------------------


def test_flipped_images_are_refused(tiny):
    model = tiny.build(with_bank=True)
    metas = [dict(img_labels=(0, )), dict(img_labels=(0, ), flip=True)]
    with pytest.raises(ValueError, match='take RandomFlip out.*drop --tta'):
        model.predict(randn(2, 3, 16, 16), samples(*metas))
    for meta in metas:
        meta['flip'] = False
    assert len(model.predict(randn(2, 3, 16, 16), samples(*metas))) == 2


def test_unknown_test_cfg(tiny):
    with pytest.raises(
            ValueError,
            match=r"unknown keys \['mode', 'threshold'\].*'bg_thr'"):
        tiny.build(mode='whole', threshold=.3)


def test_empty_bank(tiny):
    with pytest.raises(RuntimeError, match='the bank is empty'):
        tiny.build().predict(randn(1, 3, 16, 16), labeled((0, )))


def test_defaults(tiny):
    cfg = tiny.cfg()
    del cfg['test_cfg']
    init_default_scope('mmseg')
    model = MODELS.build(cfg)
    assert dict(model.test_cfg) == dict(
        map_type='lpcam', extra_map_types=(), bg_thr=.3, use_image_labels=True)


# --- training -------------------------------------------------------------


def test_loss_needs_no_masks(tiny):
    model = tiny.build().train()
    losses = model.loss(randn(2, 3, 32, 32), labeled((0, ), ()))
    assert set(losses) == {'decode.loss_cls', 'decode.acc_cls'}
    logits = model.decode_head.classify(
        model.extract_feat(randn(2, 3, 32, 32)))
    torch.testing.assert_close(
        losses['decode.loss_cls'],
        F.multilabel_soft_margin_loss(
            logits, torch.tensor([[1., 0., 0.], [0., 0., 0.]])))
    losses['decode.loss_cls'].backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
