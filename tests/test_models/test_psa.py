import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.models import AffinityHead, PSALabeler
from mmlpcam.ops import (affinity_loss, affinity_walk, feature_affinity,
                         pair_kinds)
from mmlpcam.structures import ActivationMaps

CHANNELS = (4, 8)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(**kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS.build(
            dict(
                type='AffinityNet',
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
                    type='AffinityHead',
                    in_channels=CHANNELS,
                    channels=(3, 5),
                    num_classes=4,
                    stride=4,
                    radius=3),
                **kwargs)).eval()


@pytest.fixture
def stored(tmp_path, mmseg_scope):

    def write(*labels, size):
        samples = []
        for number, present in enumerate(labels):
            ActivationMaps(present,
                           [randn(len(present), 3, 4, seed=number).abs()],
                           size, (48, 64),
                           'cam').save(tmp_path / f'{number}.npz')
            samples.append(SegDataSample(metainfo=dict(image_id=str(number))))
        return samples

    write.folder = str(tmp_path)
    return write


@pytest.mark.parametrize('size', [(37, 50), (40, 48)])
def test_prediction_by_hand(stored, size):
    labels = [(0, 2), ()]
    options = dict(bg_thr=.3, beta=4., num_steps=5)
    model = build(map_dir=stored.folder, test_cfg=options)
    images = randn(2, 3, *size)
    with torch.no_grad():
        found = model.predict(images, stored(*labels, size=size))
        rows, columns = -(-size[0] // 4), -(-size[1] // 4)
        padded = torch.zeros(2, 3, rows * 4, columns * 4)
        padded[..., :size[0], :size[1]] = images
        feats = model.decode_head(model.backbone(padded))
    assert feats.shape == (2, 8, rows, columns)
    full = torch.zeros(2, rows * 4, columns * 4)
    full[:, :size[0], :size[1]] = ActivationMaps.load(
        f'{stored.folder}/0.npz').full()
    walked = affinity_walk(
        F.avg_pool2d(full, 4),
        feature_affinity(feats, 3)[0],
        radius=3,
        beta=4.,
        num_steps=5)
    large = F.interpolate(
        walked[None], scale_factor=4,
        mode='bilinear')[0, :, :size[0], :size[1]]
    torch.testing.assert_close(found[0].activation.psa, large)
    planes = torch.zeros(4, *size)
    planes[0] = .3
    planes[[1, 3]] = found[0].activation.psa
    assert torch.equal(found[0].pred_sem_seg.data[0], planes.argmax(0))
    assert found[1].activation.psa.shape == (0, *size)
    assert not found[1].pred_sem_seg.data.any()


def test_small_photo(stored):
    model = build(map_dir=stored.folder)
    with torch.no_grad():
        sample, = model.predict(randn(1, 3, 5, 7), stored((1, ), size=(5, 7)))
    assert sample.pred_sem_seg.data.shape == (1, 5, 7)


def test_loss():
    head = AffinityHead(CHANNELS, 4, channels=(3, 5), stride=4, radius=3)
    feats = [randn(2, 4, 9, 12), randn(2, 8, 5, 6, seed=1)]
    mask = torch.randint(
        0, 4, (2, 1, 36, 48), generator=torch.Generator().manual_seed(0))
    mask[0, 0, :8] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=each)) for each in mask]
    losses = head.loss(feats, samples, {})
    labels = mask[:, 0, 2::4, 2::4]  # the cell in the middle
    expected = affinity_loss(
        feature_affinity(head(feats), 3), pair_kinds(labels, 3, 4))
    assert set(losses) == {'loss_bg_pos', 'loss_fg_pos', 'loss_neg'}
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name])
    sum(losses.values()).backward()
    assert all(p.grad.any() for p in head.parameters())


def test_wrong_options():
    with pytest.raises(ValueError, match='each of the 2 features, but got 3'):
        AffinityHead(CHANNELS, 4)
    with pytest.raises(ValueError, match='got 12 and 1'):
        PSALabeler(dict(alphas=(12, 1)))
