import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.models import AMNHead
from mmlpcam.ops import balanced_smooth_loss, gated_maps
from mmlpcam.structures import ActivationMaps

SIZE = (36, 44)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(head=None, **kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build(
            dict(
                type='AMNet',
                backbone=dict(
                    type='ResNet',
                    depth=18,
                    stem_channels=4,
                    base_channels=4,
                    num_stages=2,
                    strides=(1, 2),
                    dilations=(1, 1),
                    out_indices=(0, 1)),
                decode_head=dict(
                    dict(
                        type='AMNHead',
                        in_channels=8,
                        num_classes=4,
                        dilations=(1, 2)), **(head or {})),
                **kwargs))
        for conv in model.decode_head.convs:
            torch.nn.init.normal_(conv.weight, std=1.)
    return model.eval()


@pytest.fixture
def stored(tmp_path, mmseg_scope):
    """Maps and masks of a first stage, and samples that name them."""

    def write(*labels, mask_size=SIZE):
        (tmp_path / 'masks').mkdir()
        samples = []
        for number, present in enumerate(labels):
            ActivationMaps(present, [torch.rand(len(present), 3, 3)], SIZE,
                           (48, 48), 'lpcam').save(tmp_path / f'{number}.npz')
            mask = np.zeros(mask_size, np.uint8)
            mask[:10], mask[10:20, 5:] = 255, 2
            Image.fromarray(mask).save(tmp_path / f'masks/{number}.png')
            samples.append(SegDataSample(metainfo=dict(image_id=str(number))))
        return samples

    write.options = dict(
        map_dir=str(tmp_path), seed_dir=str(tmp_path / 'masks'))
    return write


def test_prediction_by_hand(stored):
    labels = [(0, 2), (1, ), ()]
    model = build(**stored.options, test_cfg=dict(scales=(1., .5), bg_thr=.4))
    images = randn(3, 3, *SIZE)
    mask = torch.zeros(SIZE)
    mask[:10], mask[10:20, 5:] = 255, 2
    with torch.no_grad():
        found = model.predict(images, stored(*labels))
        for number, present in enumerate(labels):
            vector = torch.zeros(1, 3)
            vector[0, list(present)] = 1
            logits = []
            for scale in (1., .5):
                image = images[number:number + 1]
                if scale != 1:
                    image = torch.nn.functional.interpolate(
                        image, (18, 22), mode='bicubic', antialias=True)
                both = [
                    model.decode_head(model.backbone(view), vector)
                    for view in (image, image.flip(3))
                ]
                logits.append(((both[0] + both[1].flip(3)) / 2)[0])
            expected = gated_maps(logits, present, mask, SIZE)[1:]
            maps = found[number].activation.amn
            torch.testing.assert_close(maps, expected, rtol=0, atol=1e-4)
            planes = torch.zeros(4, *SIZE)
            planes[0] = .4
            planes[[label + 1 for label in present]] = maps
            assert torch.equal(found[number].pred_sem_seg.data[0],
                               planes.argmax(0))


def test_labels_condition_the_maps():
    head = build().decode_head
    feats = [randn(1, 8, 5, 6)]
    with torch.no_grad():
        one, other = (
            head(feats, torch.tensor([labels]))
            for labels in ([1., 0., 0.], [0., 1., 0.]))
        none = head(feats)
    assert (one - other).abs().max() > .1 and (one - none).abs().max() > .1


@pytest.mark.parametrize('in_test', [False, True])
def test_dropout_in_test(in_test):
    head = build(dict(dropout_in_test=in_test, dropout_ratio=.5)).decode_head
    feats = [randn(1, 8, 5, 6)]
    assert torch.equal(head(feats), head(feats)) is not in_test
    head.train()
    assert not torch.equal(head(feats), head(feats))


def test_loss():
    head = build(dict(dropout_ratio=0)).decode_head
    feats = [randn(2, 8, 5, 6)]
    mask = torch.randint(
        0, 4, (2, 1, 20, 24), generator=torch.Generator().manual_seed(0))
    mask[0, 0, :8] = 255
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=each), metainfo=dict(img_labels=labels))
        for each, labels in zip(mask, [(0, 2), ()])
    ]
    losses = head.loss(feats, samples, {})
    vectors = torch.tensor([[1., 0., 1.], [0., 0., 0.]])
    target = mask[:, 0, 2::4, 2::4]  # the cell in the middle
    logits = head(feats, vectors)
    torch.testing.assert_close(losses['loss_seg'],
                               balanced_smooth_loss(logits, target))
    kept = target != 255
    right = (logits.argmax(1) == target)[kept].float().mean() * 100
    torch.testing.assert_close(losses['acc_seg'], right)
    samples[0].set_metainfo(dict(other=1))
    del samples[0].img_labels
    with pytest.raises(KeyError, match='no `img_labels`'):
        head.loss(feats, samples, {})


def test_what_is_missing(stored):
    model = build(map_dir=stored.options['map_dir'])
    samples = stored((0, ), mask_size=(30, 44))
    with pytest.raises(ValueError, match='set model.seed_dir'):
        model.predict(randn(1, 3, *SIZE), samples)
    model = build(**stored.options)
    with pytest.raises(ValueError, match=r'0\.png is \(30, 44\).*\(36, 44\)'):
        model.predict(randn(1, 3, *SIZE), samples)
    with pytest.raises(ValueError, match=r'\[0, 1\), but is 1.0'):
        AMNHead(8, 4, smoothing=1.)
    for dilations in ((), (6, 0)):
        with pytest.raises(ValueError, match='positive integers, but got'):
            AMNHead(8, 4, dilations=dilations)
