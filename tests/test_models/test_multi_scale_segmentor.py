import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

SCALES = (1, .5, .75)  # of the default


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(**kwargs):
    cfg = dict(
        type='MultiScaleSegmentor',
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            stem_channels=4,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            out_indices=(3, ),
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True),
        decode_head=dict(
            type='ASPPV2Head', in_channels=32, num_classes=4,
            dilations=(1, 2)),
        test_cfg=dict(mode='whole'))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build(ConfigDict({**cfg, **kwargs}))
        for conv in model.decode_head.convs:
            conv.weight.data.normal_(0, .3)  # so that logits differ
    return model


def single_scale_logits(model, images):
    """Run the network on each size on its own."""
    found = []
    for scale in SCALES:
        view = images if scale == 1 else F.interpolate(
            images, scale_factor=scale, mode='bilinear')
        found.append(model.decode_head(model.backbone(view)))
    return found


def naive_maximum(levels):
    size = levels[0].shape[-2:]
    fused = levels[0]
    for level in levels[1:]:
        fused = torch.maximum(fused,
                              F.interpolate(level, size, mode='bilinear'))
    return fused


def samples_of(targets):
    return [
        SegDataSample(gt_sem_seg=PixelData(data=target[None]))
        for target in targets
    ]


@torch.no_grad()
def test_fused_logits_are_the_maximum(mmseg_scope):
    model = build().eval()
    images = randn(2, 3, 64, 48)
    levels = single_scale_logits(model, images)
    got = model.multi_scale_logits(images)
    assert list(got) == ['x1', 'x0.5', 'x0.75', 'max']
    for level, name in zip(levels, got):
        torch.testing.assert_close(got[name], level)
    fused = naive_maximum(levels)
    torch.testing.assert_close(got['max'], fused)
    torch.testing.assert_close(model(images, mode='tensor'), fused)
    # each scale wins somewhere
    for level in levels:
        level = F.interpolate(level, fused.shape[-2:], mode='bilinear')
        assert .05 < (level >= fused - 1e-6).float().mean() < .9


@torch.no_grad()
@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_prediction_is_the_maximum_of_separate_runs(mode, mmseg_scope):
    model = build(
        test_cfg=dict(mode=mode, crop_size=(48, 48), stride=(48, 48))).eval()
    images = randn(1, 3, 48, 96)
    crops = [images] if mode == 'whole' else images.split(48, 3)
    want = torch.cat([
        F.interpolate(
            naive_maximum(single_scale_logits(model, crop)),
            crop.shape[-2:],
            mode='bilinear') for crop in crops
    ], 3)
    want = F.interpolate(want.flip(3), (30, 60), mode='bilinear')[0]
    meta = dict(
        ori_shape=(30, 60),
        img_shape=(48, 96),
        flip=True,
        flip_direction='horizontal')
    sample, = model.predict(images, [SegDataSample(metainfo=meta)])
    torch.testing.assert_close(sample.seg_logits.data, want)
    assert torch.equal(sample.pred_sem_seg.data[0], want.argmax(0))


def test_losses_equal_a_plain_computation(mmseg_scope):
    model = build().train()
    # an even edge has its middle between two pixels, where rounding decides
    images = randn(2, 3, 65, 49)
    targets = torch.randint(
        4, (2, 65, 49), generator=torch.Generator().manual_seed(0))
    targets[0, :40] = 255
    losses = model.loss(images, samples_of(targets))
    levels = single_scale_logits(model, images)
    levels.append(naive_maximum(levels))
    total = 0
    for name, level in zip(('x1', 'x0.5', 'x0.75', 'max'), levels):
        height, width = level.shape[-2:]
        resized = torch.from_numpy(
            np.stack([
                Image.fromarray(target.numpy().astype(np.uint8)).resize(
                    (width, height), Image.NEAREST) for target in targets
            ])).long()
        want = F.cross_entropy(level, resized, ignore_index=255)
        torch.testing.assert_close(losses[f'decode_{name}.loss_ce'], want)
        total = total + want
    assert {name
            for name in losses if 'loss' in name} == {
                f'decode_{name}.loss_ce'
                for name in ('x1', 'x0.5', 'x0.75', 'max')
            }
    torch.testing.assert_close(model.parse_losses(losses)[0], total)


def test_targets_are_not_changed(mmseg_scope):
    targets = torch.zeros(1, 64, 64, dtype=torch.long)
    samples = samples_of(targets)
    build().loss(randn(1, 3, 64, 64), samples)
    assert samples[0].gt_sem_seg.data.shape == (1, 64, 64)


def test_gradients_reach_all_that_is_trained(mmseg_scope):
    model = build().train()
    losses = model.loss(
        randn(1, 3, 64, 64), samples_of(torch.ones(1, 64, 64).long()))
    model.parse_losses(losses)[0].backward()
    trained = dict(model.named_parameters())
    frozen = {name for name in trained if not trained[name].requires_grad}
    # in the default, frozen batch norm has `bn` or `downsample.1` in its name
    assert all('bn' in name or 'downsample.1' in name for name in frozen)
    assert len(frozen) == 2 * sum(
        isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    for name in set(trained) - frozen:
        assert trained[name].grad.abs().sum() > 0, name


@pytest.mark.parametrize('scales', [(), (1., .5), (0, .5)])
def test_scales_must_be_other_positive_factors(scales, mmseg_scope):
    with pytest.raises(ValueError, match='factors > 0 other than 1'):
        build(scales=scales)


def test_auxiliary_heads_are_refused(mmseg_scope):
    head = dict(type='ASPPV2Head', in_channels=32, num_classes=4)
    with pytest.raises(ValueError, match='auxiliary_head=None'):
        build(auxiliary_head=head)
