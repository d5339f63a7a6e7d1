import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.models import EdgeHead
from mmlpcam.ops import covered_size, random_walk
from mmlpcam.structures import ActivationMaps

CHANNELS = (4, 4, 8, 16, 32)
STRIDES = (4, 4, 8, 16, 16)
BACKBONE = dict(
    type='StemResNet',
    depth=18,
    base_channels=4,
    stem_channels=4,
    strides=(1, 2, 2, 1),
    dilations=(1, 1, 1, 1),
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=False)
SIZE = (37, 50)

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shake(module, seed=0):
    """Leave no parameter or statistic at its default."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith('running_var'):
                noise = noise.abs()
            value.add_(noise, alpha=.3)
    return module


def build(seed=0, test_cfg=None, preprocessor=None, **kwargs):
    cfg = dict(
        type='IRNet',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[127.5] * 3,
            bgr_to_rgb=True,
            **(preprocessor or dict(size_divisor=1))),
        backbone=BACKBONE,
        decode_head=dict(
            type='EdgeHead',
            in_channels=CHANNELS,
            strides=STRIDES,
            num_classes=4,
            channels=8,
            radius=3),
        test_cfg=test_cfg,
        **kwargs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(copy.deepcopy(cfg))
    for part in (model.backbone, model.decode_head):
        shake(part, seed)
    # boundaries from 0 to 1
    fuse = model.decode_head.fuse
    fuse.weight.data = 3 * (fuse.weight.data - fuse.weight.data.mean())
    fuse.bias.data.fill_(-1.5)
    return model.eval()


def labeled(*labels):
    """Samples with confident labels of shape (H, W)."""
    samples = [SegDataSample() for _ in labels]
    for sample, label in zip(samples, labels):
        sample.gt_sem_seg = PixelData(data=label[None])
    return samples


def random_labels(num, size, seed=0):
    """Blocks of the classes 0 to 3 and of 255, with borders inside cells."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 5, (num, 1, 4, 5), generator=generator)
    large = F.interpolate(small.float(), size, mode='nearest')[:, 0].long()
    large[large == 4] = 255
    return large.roll((1, 1), (1, 2))


# --- plain NumPy ----------------------------------------------------------


def array(tensor):
    return tensor.detach().double().numpy()


def naive_norm_conv(feats, stage):
    """1x1 convolution, then the norm of each group of channels."""
    conv, norm = stage
    feats = np.einsum('od,ndhw->nohw', array(conv.weight)[:, :, 0, 0], feats)
    num, channels = feats.shape[:2]
    size = channels // norm.num_groups
    for n in range(num):
        for start in range(0, channels, size):
            group = feats[n, start:start + size]
            group -= group.mean()
            group /= np.sqrt((group**2).mean() + norm.eps)
    weight, bias = array(norm.weight), array(norm.bias)
    return feats * weight[:, None, None] + bias[:, None, None]


def bilinear(length, factor):
    """Weights (length * factor, length), half-pixel centres."""
    weights = np.zeros((length * factor, length))
    for i in range(length * factor):
        place = max((i + .5) / factor - .5, 0)
        low = int(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, length - 1)] += place - low
    return weights


def enlarge(feats, factor, size):
    large = np.einsum('yh,nchw,xw->ncyx', bilinear(feats.shape[2], factor),
                      feats, bilinear(feats.shape[3], factor))
    assert large.shape[2] >= size[0] and large.shape[3] >= size[1]
    return large[:, :, :size[0], :size[1]]


def relu(feats):
    return np.maximum(feats, 0)


def naive_edge(head, inputs):
    size = inputs[1].shape[-2:]
    feats = [
        relu(
            enlarge(
                naive_norm_conv(array(feat), stage), stride // head.out_stride,
                size))
        for feat, stage, stride in zip(inputs, head.stages, head.strides)
    ]
    return np.einsum('od,ndhw->nohw',
                     array(head.fuse.weight)[:, :, 0, 0],
                     np.concatenate(feats, 1)) + array(head.fuse.bias)


def pairs(labels, radius):
    """Kind, image, source and neighbour of each pair, one after another.

    The label of a cell is that of the pixel in its middle.
    """
    labels = array(labels)[:, 2::4, 2::4]
    num, height, width = labels.shape
    for n in range(num):
        for y in range(height - radius + 1):
            for x in range(radius - 1, width - radius + 1):
                for dy in range(radius):
                    for dx in range(1 - radius, radius):
                        if (dy, dx) <= (0, 0) or dy**2 + dx**2 >= radius**2:
                            continue
                        a, b = labels[n, y, x], labels[n, y + dy, x + dx]
                        if max(a, b) >= 4:
                            continue
                        kind = 'neg' if a != b else 'fg' if a else 'bg'
                        yield kind, n, (y, x), (y + dy, x + dx)


def features(size, num=2, seed=0):
    """One feature per stage of the backbone for an image of this size."""
    return [
        randn(
            num, width, *(-(-edge // stride) for edge in size), seed=seed + i)
        for i, (width, stride) in enumerate(zip(CHANNELS, STRIDES))
    ]


# --- backbone -------------------------------------------------------------


@pytest.mark.parametrize('deep_stem', [False, True])
def test_stem_comes_first(deep_stem):
    cfg = dict(BACKBONE, deep_stem=deep_stem, norm_eval=True)
    ours = shake(MODELS.build(cfg))
    plain = MODELS.build(dict(cfg, type='ResNet'))
    ours.eval(), plain.eval()
    plain.load_state_dict(ours.state_dict())
    image = randn(2, 3, *SIZE)
    outs = ours(image)
    assert len(outs) == 5
    for found, expected in zip(outs[1:], plain(image)):
        assert torch.equal(found, expected)
    stem = plain.stem(image) if deep_stem else F.relu(
        plain.norm1(plain.conv1(image)))
    stem = F.max_pool2d(stem, 3, 2, 1)
    assert torch.equal(outs[0], stem)
    for i, found in enumerate(outs[1:], 1):
        stem = getattr(ours, f'layer{i}')(stem)
        assert torch.equal(found, stem)
    assert [tuple(out.shape[1:]) for out in outs] == [(4, 10, 13), (4, 10, 13),
                                                      (8, 5, 7), (16, 3, 4),
                                                      (32, 3, 4)]


def test_outputs_of_some_stages():
    image = randn(1, 3, 32, 32)
    whole = shake(MODELS.build(BACKBONE))
    part = MODELS.build(dict(BACKBONE, out_indices=(1, 3)))
    whole.eval(), part.eval()
    part.load_state_dict(whole.state_dict())
    every = whole(image)
    found = part(image)
    assert len(found) == 3
    for one, other in zip(found, (every[0], every[2], every[4])):
        assert torch.equal(one, other)


def test_backbone_is_frozen():
    model = build()
    assert model.train() is model and model.training
    assert model.decode_head.training
    assert not any(part.training for part in model.backbone.modules())
    before = copy.deepcopy(model.backbone.state_dict())
    images = randn(2, 3, 48, 48)
    samples = labeled(*random_labels(2, (48, 48)))
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    for _ in range(2):
        loss, _ = model.parse_losses(model.loss(images, samples))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for parameter in model.backbone.parameters():
        assert not parameter.requires_grad and parameter.grad is None
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name])
    for parameter in model.decode_head.parameters():
        assert parameter.grad.abs().sum() > 0
    assert not model.eval().training and not model.decode_head.training


# --- boundaries -----------------------------------------------------------


@pytest.mark.parametrize('size', [SIZE, (32, 48), (33, 17), (1, 4)])
def test_boundaries_equal_a_naive_computation(size):
    head = shake(EdgeHead(CHANNELS, STRIDES, 4, channels=8))
    inputs = features(size)
    found = head(inputs)
    assert found.shape == (2, 1, -(-size[0] // 4), -(-size[1] // 4))
    np.testing.assert_allclose(
        found.detach(), naive_edge(head, inputs), rtol=0, atol=1e-4)


def test_boundaries_at_another_stride():
    head = shake(EdgeHead((6, 7), (8, 8), 4, out_stride=8, channels=4))
    inputs = [randn(2, 6, 5, 7), randn(2, 7, 5, 7, seed=1)]
    np.testing.assert_allclose(
        head(inputs).detach(), naive_edge(head, inputs), rtol=0, atol=1e-4)


def test_size_of_the_official_branch():
    head = EdgeHead((64, 256, 512, 1024, 2048), STRIDES, 21)
    # 32 channels of each tap with the two of their norm; one logit
    expected = 32 * (64 + 256 + 512 + 1024 + 2048) + 5 * 2 * 32 + 160 + 1
    assert sum(value.numel() for value in head.parameters()) == expected
    assert [stage[1].num_groups for stage in head.stages] == [4] * 5
    assert head.radius == 10


@pytest.mark.parametrize('strides, options, message', [
    ((4, 4, 8), dict(),
     'one stride for each of the features, but got 3 for 2'),
    ((8, 16), dict(), '`out_stride` 4 must be one of the strides'),
    ((4, 6), dict(), 'the others multiples of it'),
    ((4, 8), dict(out_stride=8), 'the others multiples of it'),
])
def test_strides_that_do_not_fit(strides, options, message):
    with pytest.raises(ValueError, match=message):
        EdgeHead((3, 5), strides, 4, **options)


# --- losses ---------------------------------------------------------------


def test_loss_equals_a_naive_computation():
    head = shake(EdgeHead(CHANNELS, STRIDES, 4, channels=8, radius=3))
    inputs = features((48, 40))
    labels = random_labels(2, (48, 40))
    losses = head.loss(inputs, labeled(*labels), None)
    edge = 1 / (1 + np.exp(-naive_edge(head, inputs)[:, 0]))
    terms = dict(bg=[], fg=[], neg=[])
    for kind, n, (y, x), (v, u) in pairs(labels, 3):
        dy, dx = v - y, u - x
        wall = max(edge[n, b, a] for b in range(y, v + 1)
                   for a in range(min(x, u),
                                  max(x, u) + 1)
                   if (dy * (a - x) - dx * (b - y))**2 < dy**2 + dx**2)
        terms[kind].append(-math.log((wall if kind == 'neg' else 1 - wall) +
                                     1e-5))
    assert min(map(len, terms.values())) > 20
    for name, kind, weight in [('loss_bg_pos', 'bg', 1 / 4),
                               ('loss_fg_pos', 'fg', 1 / 4),
                               ('loss_neg', 'neg', 1 / 2)]:
        assert losses[name].item() == pytest.approx(
            weight * np.mean(terms[kind]), rel=1e-4)


def test_loss_without_confident_pixels():
    model = build().train()
    nothing = torch.full((48, 48), 255)
    losses = model.loss(randn(2, 3, 48, 48), labeled(nothing, nothing))
    assert set(losses) == {
        'decode.loss_bg_pos', 'decode.loss_fg_pos', 'decode.loss_neg'
    }
    assert [value.item() for value in losses.values()] == [0] * 3
    sum(losses.values()).backward()
    for parameter in model.decode_head.parameters():
        assert parameter.grad.isfinite().all()


def test_too_small_crops_are_refused():
    head = EdgeHead(CHANNELS, STRIDES, 4)
    with pytest.raises(ValueError, match=r'\(12, 12\) cells.*larger crops'):
        head.loss(
            features((48, 48), num=1), labeled(*random_labels(1, (48, 48))),
            None)


# --- prediction -----------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """Write maps of images and return the samples that name them."""

    def write(*labels, size=SIZE, seed=0):
        samples = []
        for number, present in enumerate(labels):
            scales = [
                randn(len(present), *grid, seed=seed + 10 * number + i).abs()
                for i, grid in enumerate([(3, 4), (2, 2)])
            ]
            ActivationMaps(
                tuple(present), scales, size, covered_size(size, 16),
                'lpcam').save(tmp_path / f'sub/{number}.npz')
            samples.append(
                SegDataSample(
                    metainfo=dict(image_id=f'sub/{number}', ori_shape=size)))
        return samples

    write.folder = str(tmp_path)
    return write


def predict(stored, *labels, images=None, seed=0, size=SIZE, **test_cfg):
    model = build(map_dir=stored.folder, test_cfg=test_cfg)
    images = randn(len(labels), 3, *size) if images is None else images
    with torch.no_grad():
        return model, images, model.predict(
            images, stored(*labels, size=size, seed=seed))


@pytest.mark.parametrize('size', [SIZE, (48, 32), (33, 41)])
def test_prediction_by_hand(stored, size):
    labels = [(0, 2), (1, )]
    options = dict(bg_thr=.4, radius=4, beta=3., num_steps=9)
    model, images, samples = predict(stored, *labels, size=size, **options)
    for number, sample in enumerate(samples):
        image = images[number:number + 1]
        with torch.no_grad():
            logits, mirrored = (
                model.decode_head(model.backbone(view))
                for view in (image, image.flip(3)))
        edge = ((logits + mirrored.flip(3)) / 2).sigmoid()[0]
        torch.testing.assert_close(
            sample.edge.data, edge, rtol=1e-4, atol=1e-5)
        assert edge.min() < .3 and edge.max() > .7
        file = f'{stored.folder}/sub/{number}.npz'
        grid = [-(-side // 4) for side in size]
        assert edge.shape[1:] == tuple(grid)
        seeds = sum(
            F.interpolate(scale[None], grid, mode='bilinear')[0]
            for scale in ActivationMaps.load(file).scales)
        seeds = seeds / seeds.amax((1, 2), keepdim=True)
        walked = random_walk(
            seeds, edge[0], radius=4, beta=3., num_steps=9)[None]
        large = F.interpolate(walked, scale_factor=4, mode='bilinear')
        large = large[0, :, :size[0], :size[1]]
        large = large / large.max()
        torch.testing.assert_close(
            sample.activation.irn, large, rtol=0, atol=1e-4)
        planes = torch.zeros(4, *size)
        planes[0] = .4
        for label, plane in zip(labels[number], sample.activation.irn):
            planes[label + 1] = plane
        mask = sample.pred_sem_seg.data
        assert torch.equal(mask, planes.argmax(0)[None])
        assert set(mask.unique().tolist()) == {
            0, *(label + 1 for label in labels[number])
        }
        assert sample.img_labels == labels[number]
        assert sample.map_type == 'irn'
        assert torch.equal(sample.scale_maps.full(), sample.activation.irn)


def test_all_classes_share_one_maximum(stored):
    _, _, (sample, ) = predict(stored, (0, 1, 2))
    peaks = sample.activation.irn.amax((1, 2))
    assert peaks.max() == 1 and (peaks < 1).sum() == 2


def test_boundaries_turn_with_the_image():
    model = build()
    images = randn(2, 3, *SIZE)
    with torch.no_grad():
        found = model.boundaries(images)
        mirrored = model.boundaries(images.flip(3)).flip(2)
        one_view = model.decode_head(model.backbone(images))[:, 0].sigmoid()
    assert found.shape == (2, 10, 13)
    torch.testing.assert_close(mirrored, found, rtol=1e-5, atol=1e-6)
    assert (one_view - found).abs().max() > .01
    assert not found.requires_grad


def test_prediction_turns_with_image_and_maps(stored):
    """Maps of a mirror image are mirror images, if the grids allow it."""
    size = (32, 48)
    model, images, (first, ) = predict(stored, (0, 2), size=size)
    maps = ActivationMaps.load(f'{stored.folder}/sub/0.npz')
    ActivationMaps(maps.labels, [scale.flip(2) for scale in maps.scales], size,
                   size, 'lpcam').save(f'{stored.folder}/sub/0.npz')
    sample = SegDataSample(metainfo=dict(image_id='sub/0'))
    second, = model.predict(images.flip(3), [sample])
    torch.testing.assert_close(
        second.activation.irn.flip(2), first.activation.irn, rtol=0, atol=1e-4)


@pytest.mark.parametrize('labels', [((0, ), (1, 2)), ((2, ), ()), ((), ())])
def test_batch_equals_each_image_alone(stored, labels):
    model, images, together = predict(stored, *labels)
    for number, sample in enumerate(stored(*labels)):
        alone, = model.predict(images[number:number + 1], [sample])
        for one, other in ((together[number].edge.data, alone.edge.data),
                           (together[number].activation.irn,
                            alone.activation.irn)):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_image_without_labels_is_background(stored):
    model, _, (sample, ) = predict(stored, (), bg_thr=0.)
    assert sample.pred_sem_seg.data.shape == (1, *SIZE)
    assert not sample.pred_sem_seg.data.any()
    assert sample.activation.irn.shape == (0, *SIZE)
    assert sample.img_labels == ()


def test_background_threshold(stored):
    shares = []
    for bg_thr in (0., .25, .6, 1.):
        _, _, (sample, ) = predict(stored, (1, ), bg_thr=bg_thr)
        maps = sample.activation.irn[0]
        mask = sample.pred_sem_seg.data[0]
        assert torch.equal(mask == 2, maps > torch.tensor(bg_thr))
        assert set(mask.unique().tolist()) <= {0, 2}
        shares.append((mask > 0).float().mean().item())
    assert shares == sorted(shares, reverse=True)
    assert shares[1] > shares[2] > shares[3] == 0


def test_padding_of_the_preprocessor_plays_no_part(stored):
    image = (127 + 40 * randn(3, *SIZE)).clamp(0, 255).byte()
    results = []
    for preprocessor in (dict(), dict(test_cfg=dict(size_divisor=32))):
        model = build(map_dir=stored.folder, preprocessor=preprocessor)
        with torch.no_grad():
            results += model.test_step(
                dict(inputs=[image], data_samples=stored((0, 2))))
    plain, padded = results
    assert padded.pad_shape == (64, 64)
    assert torch.equal(plain.activation.irn, padded.activation.irn)
    assert torch.equal(plain.pred_sem_seg.data, padded.pred_sem_seg.data)
    assert torch.equal(plain.edge.data, padded.edge.data)


def test_prediction_can_be_stored(stored, tmp_path):
    _, _, (sample, ) = predict(stored, (0, 2))
    sample.scale_maps.save(tmp_path / 'refined.npz')
    again = ActivationMaps.load(tmp_path / 'refined.npz')
    assert torch.equal(again.full(), sample.activation.irn)


# --- settings -------------------------------------------------------------


def test_defaults():
    model = build()
    assert dict(model.test_cfg) == dict(
        bg_thr=.25, power=1., radius=5, beta=10., num_steps=256, average=False)
    assert dict(build(test_cfg=dict(bg_thr=.35)).test_cfg) == dict(
        bg_thr=.35, power=1., radius=5, beta=10., num_steps=256, average=False)


def test_settings_reach_the_walk(stored, monkeypatch):
    calls = []

    def walk(maps, edges, **kwargs):
        calls.append(kwargs)
        return maps

    monkeypatch.setattr('mmlpcam.models.irnet.random_walk_many', walk)
    predict(stored, (1, ), radius=3, beta=2., num_steps=7, average=True)
    predict(stored, (1, ))
    assert calls == [
        dict(radius=3, beta=2., num_steps=7, average=True),
        dict(radius=5, beta=10., num_steps=256, average=False)
    ]


def test_power_of_the_maps(stored, monkeypatch):
    walked = []

    def walk(maps, edges, **kwargs):
        walked.extend(maps)
        return maps

    monkeypatch.setattr('mmlpcam.models.irnet.random_walk_many', walk)
    for power in (1., 1.3):
        predict(stored, (0, 2), power=power)
    torch.testing.assert_close(walked[1], walked[0]**1.3)
    assert walked[0].max() == 1 and not torch.equal(*walked)


def test_unknown_test_cfg():
    with pytest.raises(
            ValueError,
            match=r"unknown keys \['mode', 'steps'\].*'bg_thr'.*'radius'"):
        build(test_cfg=dict(mode='whole', steps=3))


# --- errors ---------------------------------------------------------------


def test_no_folder_of_maps(stored):
    with pytest.raises(ValueError, match='set model.map_dir'):
        build().predict(randn(1, 3, *SIZE), stored((1, )))


def test_image_without_maps(stored):
    samples = stored((1, ))
    samples[0].set_metainfo(dict(image_id='sub/7'))
    with pytest.raises(
            FileNotFoundError,
            match=r'sub/7\.npz does not exist: run the stage'):
        build(map_dir=stored.folder).predict(randn(1, 3, *SIZE), samples)


def test_sample_without_id(stored):
    with pytest.raises(ValueError, match='wrap the dataset in ImageLabelData'):
        build(map_dir=stored.folder).predict(
            randn(1, 3, *SIZE), [SegDataSample()])


def test_maps_of_another_size(stored):
    with pytest.raises(
            ValueError,
            match=r'maps of an image of \(37, 50\) \(H, W\), but the image is '
            r'\(37, 48\): make maps and refine them from images of one size'):
        build(map_dir=stored.folder).predict(
            randn(1, 3, 37, 48), stored((1, )))


def test_a_file_that_holds_no_maps(stored, tmp_path):
    samples = stored((1, ))
    (tmp_path / 'sub' / '0.npz').write_text('nothing')
    with pytest.raises(ValueError, match='holds no activation maps'):
        build(map_dir=stored.folder).predict(randn(1, 3, *SIZE), samples)
