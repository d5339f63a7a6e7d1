"""LPCAM on backbones of transformers and timm, trained or frozen."""
import importlib.util

import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.engine import PrototypeBuilder
from mmlpcam.models import HFBackbone, multi_scale_maps

has_hf = importlib.util.find_spec('transformers') is not None
needs_hf = pytest.mark.skipif(not has_hf, reason='needs transformers')
needs_timm = pytest.mark.skipif(
    importlib.util.find_spec('timm') is None, reason='needs timm')
# tokens before those of the patches
KINDS = dict(dinov2=1, dinov2_with_registers=3, dinov3_vit=3)


def fields(kind='dinov2', **changes):
    return dict(
        dict(
            model_type=kind,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            patch_size=8,
            image_size=48),
        **dict(num_register_tokens=KINDS[kind] - 1) if KINDS[kind] > 1 else {},
        **changes)


def randn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def hub_model(kind):
    """The model as the Hub has it, not as a backbone."""
    from transformers import AutoConfig, AutoModel
    torch.manual_seed(0)
    config = AutoConfig.for_model(**fields(kind))
    return AutoModel.from_config(config).eval()


def segmentor(backbone, channels, stride, rounding):
    return MODELS.build(
        dict(
            type='CAMSegmentor',
            data_preprocessor=dict(
                type='SegDataPreProcessor',
                mean=[127.5] * 3,
                std=[127.5] * 3,
                size_divisor=1),
            backbone=backbone,
            decode_head=dict(
                type='CAMHead',
                in_channels=channels,
                num_classes=4,
                num_clusters=2,
                stride=stride,
                rounding=rounding,
                scales=(1., .5))))


@needs_hf
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('final_norm', [True, False])
def test_features_are_the_tokens_of_patches(kind, final_norm, tmp_path):
    """At any size, from the files that the Hub has."""
    model = hub_model(kind)
    model.save_pretrained(tmp_path)
    backbone = HFBackbone(
        str(tmp_path / 'config.json'),
        final_norm=final_norm,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'model.safetensors')))
    backbone.init_weights()
    images = randn(2, 3, 43, 62)
    with torch.no_grad():
        feats, = backbone.eval()(images)
        out = model(images, output_hidden_states=True)
        tokens = out.last_hidden_state
        if not final_norm:
            norm = model.norm if kind == 'dinov3_vit' else model.layernorm
            normed, norm.forward = norm.forward, lambda x: x
            tokens = model(images).last_hidden_state
            norm.forward = normed
    assert feats.shape == (2, 16, 5, 7)
    torch.testing.assert_close(
        feats.flatten(2).mT, tokens[:, KINDS[kind]:], rtol=0, atol=1e-5)


@needs_hf
def test_weights_of_half_precision(tmp_path):
    model = hub_model('dinov2').half()
    model.save_pretrained(tmp_path)
    file = tmp_path / 'model.safetensors'
    backbone = HFBackbone(
        fields(), init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    backbone.init_weights()
    state = backbone.model.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(state[name], value.float()), name


@needs_hf
def test_errors_name_the_file(tmp_path):
    hub_model('dinov2').save_pretrained(tmp_path)
    file = tmp_path / 'model.safetensors'
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    deeper = HFBackbone(fields(num_hidden_layers=3), init_cfg=init_cfg)
    with pytest.raises(ValueError, match=r'model\.safetensors lacks 18 weig'):
        deeper.init_weights()
    wider = HFBackbone(fields(hidden_size=32), init_cfg=init_cfg)
    with pytest.raises(ValueError, match=r'model\.safetensors'):
        wider.init_weights()
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r'model\.safetensors is no valid'):
        HFBackbone(fields(), init_cfg=init_cfg).init_weights()
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r'model\.safetensors'):
        HFBackbone(fields(), init_cfg=init_cfg).init_weights()
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        HFBackbone(str(tmp_path / 'none.json'))
    with pytest.raises(ValueError, match='resnet has no norm after'):
        HFBackbone(dict(model_type='resnet'), final_norm=False)


@pytest.mark.skipif(has_hf, reason='transformers is installed')
def test_what_to_install():
    with pytest.raises(ImportError, match='pip install transformers'):
        HFBackbone(fields())


@needs_hf
def test_lpcam_on_frozen_features(voc_mini):
    """One step trains the head alone; then prototypes and maps."""
    model = segmentor(
        dict(
            type='FrozenBackbone',
            backbone=dict(type='HFBackbone',
                          config=fields(drop_path_rate=.5))), 16, 8, 'floor')
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.)
    samples = [SegDataSample(metainfo=dict(img_labels=(0, 2)))] * 2
    model.train()
    model.loss(randn(2, 3, 48, 48), samples)['decode.loss_cls'].backward()
    optimizer.step()
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {'decode_head.conv_seg.weight'}
    PrototypeBuilder(
        voc_mini.dataset(), num_workers=0, mu_f=0, mu_b=1.,
        fg_thr=.5).build(model.eval())
    maps, = multi_scale_maps(model, randn(1, 3, 43, 62), [(0, 1)],
                             ['cam', 'lpcam'])
    for each in maps.values():
        assert [tuple(scale.shape) for scale in each.scales] == [(2, 5, 7),
                                                                 (2, 2, 3)]
        assert each.full().shape == (2, 43, 62)
        assert each.full().amax() == pytest.approx(1, abs=.2)


def test_frozen_statistics(tiny):
    cfg = tiny.cfg()
    backbone = dict(cfg['backbone'], norm_eval=False)
    frozen = MODELS.build(dict(type='FrozenBackbone', backbone=backbone))
    frozen.train()
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    feats = frozen(randn(2, 3, 32, 32))
    assert not any(each.requires_grad for each in feats)
    assert all(
        torch.equal(v, before[k]) for k, v in frozen.state_dict().items())


@needs_timm
def test_timm_transformer(mmseg_scope):
    """A config alone: patches of 16, padded to whole ones."""
    model = segmentor(
        dict(
            type='TIMMBackbone',
            model_name='vit_tiny_patch16_224',
            pretrained=False,
            features_only=True,
            out_indices=(11, ),
            dynamic_img_size=True,
            dynamic_img_pad=True), 192, 16, 'ceil').eval()
    maps, = multi_scale_maps(model, randn(1, 3, 43, 62), [(0, 1)], ['cam'])
    assert [tuple(each.shape) for each in maps['cam'].scales] == [(2, 3, 4),
                                                                  (2, 2, 2)]
