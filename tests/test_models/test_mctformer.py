import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.models import (MCTPatchHead, MCTransformer, multi_scale_maps,
                            predict_maps)

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def backbone(**kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MCTransformer(
            4,
            **dict(
                dict(
                    img_size=32,
                    patch_size=8,
                    embed_dims=12,
                    depth=3,
                    num_heads=2), **kwargs))
        model.init_weights()
    return model.eval()


def head(with_bank=False, **kwargs):
    model = MCTPatchHead(12, 4, num_clusters=3, stride=8, **kwargs).eval()
    model.conv_seg.weight.data = randn(3, 12, 3, 3)
    model.conv_seg.bias.data = randn(3, seed=1)
    if with_bank:
        for label in range(3):
            model.bank.set_class(label, randn(3, 12, seed=label),
                                 randn(label, 12, seed=9 + label))
    return model


# --- backbone -------------------------------------------------------------


@pytest.mark.parametrize('size, grid', [((32, 32), (4, 4)), ((37, 50), (4, 6)),
                                        ((16, 40), (2, 5))])
def test_shapes(size, grid):
    tokens, of_classes, of_patches, local = backbone()(randn(2, 3, *size))
    cells = grid[0] * grid[1]
    assert tokens.shape == (2, 3, 12) and local.shape == (2, 12, *grid)
    assert of_classes.shape == (2, 3, *grid)
    assert of_patches.shape == (2, cells, cells)
    # attention is a share, and patches look at class tokens too
    assert 0 < of_classes.sum((2, 3)).max() < 3
    assert 0 < of_patches.sum(2).max() < 3


def test_attention_of_the_last_layers_is_summed():
    images = randn(1, 3, 32, 32)
    one, two, three = (
        backbone(num_class_layers=n)(images)[1] for n in (1, 2, 3))
    assert (one < two).all() and (two < three).all()


def test_training_needs_no_attention():
    model = backbone(drop_path_rate=0.)
    images = randn(2, 3, 40, 32)
    expected = model(images)
    tokens, local = model.train()(images)
    torch.testing.assert_close(tokens, expected[0])
    torch.testing.assert_close(local, expected[3])


def test_weights_with_one_class_token():
    """As of a DeiT: the token and its position are those of all classes."""
    state = backbone().state_dict()
    state['cls_token'] = randn(1, 1, 12)
    state['pos_embed'] = randn(1, 17, 12, seed=1)
    model = backbone()
    model.load_state_dict(state)
    for token in range(3):
        assert torch.equal(model.cls_token[:, token], state['cls_token'][:, 0])
        assert torch.equal(model.pos_embed[:, token], state['pos_embed'][:, 0])
    assert torch.equal(model.pos_embed[:, 3:], state['pos_embed'][:, 1:])
    assert state['cls_token'].shape == (1, 1, 12)  # not changed in place


@pytest.mark.parametrize('options, message', [
    (dict(img_size=30), '30 and 8'),
    (dict(num_heads=5), '12 and 5'),
    (dict(patch_size=0), '32 and 0'),
    (dict(num_heads=0), '12 and 0'),
    (dict(num_class_layers=4), r'in \[1, 3\], but is 4'),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        backbone(**options)


# --- head -----------------------------------------------------------------


def test_maps_by_hand():
    model, net = head(with_bank=True), backbone()
    feats = net(randn(1, 3, 32, 48))
    _, attention, affinity, local = feats
    patchcam = model.conv_seg(local).relu()
    unit = F.normalize(local, dim=1)
    lpcam = torch.einsum('cd,ndhw->nchw', model.bank.directions(), unit).relu()

    def refined(maps):
        return torch.einsum('ij,cj->ci', affinity[0],
                            maps[0].flatten(1)).view_as(maps)

    expected = dict(
        patchcam=patchcam,
        patchcam_pa=refined(patchcam),
        mct=refined(attention),
        mct_patchcam=refined(attention * patchcam),
        mct_lpcam=refined(attention * lpcam))
    for kind, maps in expected.items():
        found = model.maps(feats, kind, [2, 0], flip=False)
        torch.testing.assert_close(found, maps[:, [2, 0]])
    assert set(model.map_types) == {*expected, 'mct_lpcam_f'}


def test_maps_of_mirror_images_are_averaged():
    model, net = head(with_bank=True), backbone()
    image = randn(1, 3, 32, 48)
    both = net(torch.cat([image, image.flip(3)]))
    for kind in model.map_types:
        one, other = (
            model.maps(net(view), kind, [1], flip=False)
            for view in (image, image.flip(3)))
        torch.testing.assert_close(
            model.maps(both, kind, [1], flip=True), (one + other.flip(3)) / 2)


def test_score_of_a_prototype_is_that_of_a_constant_image():
    model = head()
    centers = randn(5, 12)
    constant = centers[..., None, None].expand(-1, -1, 3, 3)
    logits = model.conv_seg(constant)[:, :, 1, 1]  # without padding
    torch.testing.assert_close(model.class_scores(centers), logits.softmax(1))


def test_losses():
    model, net = head().train(), backbone(drop_path_rate=0.).train()
    feats = net(randn(2, 3, 32, 32))
    samples = [
        SegDataSample(metainfo=dict(img_labels=labels))
        for labels in [(0, 2), (1, )]
    ]
    target = torch.tensor([[1., 0., 1.], [0., 1., 0.]])
    losses = model.loss(feats, samples, {})
    torch.testing.assert_close(
        losses['loss_cls'],
        F.multilabel_soft_margin_loss(feats[0].mean(2), target))
    torch.testing.assert_close(
        losses['loss_patch'],
        F.multilabel_soft_margin_loss(
            model.conv_seg(feats[1]).mean((2, 3)), target))


# --- model ----------------------------------------------------------------


@pytest.fixture
def model(mmseg_scope):
    cfg = dict(
        type='CAMSegmentor',
        data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        backbone=dict(
            type='MCTransformer',
            num_classes=4,
            img_size=32,
            patch_size=8,
            embed_dims=12,
            depth=3,
            num_heads=2),
        decode_head=dict(
            type='MCTPatchHead', in_channels=12, num_classes=4, stride=8),
        test_cfg=dict(map_type='mct_patchcam'))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = MODELS.build(cfg)
        built.init_weights()
    return built.eval()


def test_images_below_a_patch(model):
    """At one of the scales: nothing would be left of them."""
    images, labels = randn(1, 3, 12, 90), [(0, 1)]
    settings = model.decode_head.settings
    with pytest.raises(
            ValueError, match=r'\(12, 90\) pixels is \(6, 45\) at scale 0.5'):
        multi_scale_maps(model, images, labels, ['mct'],
                         settings.changed(scales=(1., .5)))
    maps = multi_scale_maps(model, images, labels, ['mct'],
                            settings.changed(scales=(1., )))[0]['mct']
    assert maps.scales[0].shape == (2, 1, 11)
    assert maps.full().shape == (2, 12, 90)


@pytest.mark.parametrize('size', [(37, 50), (32, 32)])
def test_maps_cover_the_image(model, size):
    images = randn(2, 3, *size)
    sample = predict_maps(
        model, images,
        [SegDataSample(metainfo=dict(img_labels=(0, 2))) for _ in range(2)],
        dict(model.test_cfg))[0]
    maps = sample.activation.mct_patchcam
    assert maps.shape == (2, *size)
    # eps is large beside these faint maps
    torch.testing.assert_close(
        maps.amax((1, 2)), torch.ones(2), rtol=0, atol=1e-3)
    assert torch.equal(maps.amin((1, 2)), torch.zeros(2))
    assert sample.scale_maps.extent == size


def test_several_scales(model):
    found = multi_scale_maps(
        model, randn(1, 3, 40, 48), [(1, )], ['mct'],
        model.decode_head.settings.changed(scales=(1., .5, 1.5)))[0]['mct']
    assert [tuple(maps.shape)
            for maps in found.scales] == [(1, 5, 6), (1, 2, 3), (1, 7, 9)]
