import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from mmlpcam.engine import NewSizesHook
from mmlpcam.models import fast_inference, fold_batch_norm, without_plans

init_default_scope('mmseg')


class PreActivation(nn.Module):
    """Its batch norm comes before the convolution that it is listed after."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, images):
        return [self.conv(self.bn(images).relu())]


def segmentor(backbone=None):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='CAMSegmentor',
            backbone=dict(type='MobileNetV2', out_indices=(3, 6)),
            decode_head=dict(
                type='CAMHead',
                in_channels=320,
                in_index=1,
                num_classes=3,
                stride=32)))
    if backbone is not None:
        model.backbone = backbone
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.1)
    return model.eval()


def batch_norms(model):
    return sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())


@torch.no_grad()
def test_features_are_the_same_and_the_model_comes_back():
    model = segmentor()
    images = torch.rand(2, 3, 75, 50)
    expected = model.extract_feat(images)
    before, parts = copy.deepcopy(model.state_dict()), list(model.children())
    with fast_inference(model):
        assert batch_norms(model) == 0
        found = model.extract_feat(images)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert [*map(id, model.children())] == [*map(id, parts)]
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_model_comes_back_after_an_error():
    model = segmentor()
    number = batch_norms(model)
    with pytest.raises(RuntimeError, match='stop'), fast_inference(model):
        raise RuntimeError('stop')
    assert batch_norms(model) == number > 0


@torch.no_grad()
def test_layers_in_another_order_are_left_alone(capsys):
    model = segmentor(PreActivation())
    images = torch.rand(1, 3, 8, 8)
    expected = model.extract_feat(images)[0]
    fold_batch_norm(model)
    assert batch_norms(model) == 1
    assert torch.equal(model.extract_feat(images)[0], expected)
    assert 'not folded' in capsys.readouterr().out


@torch.no_grad()
def test_batch_norm_without_weights_is_left_alone(capsys):
    model = segmentor()
    model.backbone.conv1.bn.weight = None
    images = torch.rand(1, 3, 40, 40)
    expected = model.extract_feat(images)
    number = batch_norms(model)
    fold_batch_norm(model)
    assert batch_norms(model) == number
    for a, b in zip(model.extract_feat(images), expected, strict=True):
        assert torch.equal(a, b)
    assert 'not folded' in capsys.readouterr().out


@pytest.fixture
def with_cudnn(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'enabled', True)


@pytest.mark.usefixtures('with_cudnn')
@pytest.mark.parametrize('benchmark', [False, True])
def test_cudnn_plans_only_if_asked_to(monkeypatch, benchmark):
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', benchmark)
    assert torch.backends.cudnn.enabled
    with pytest.raises(KeyError), without_plans():
        assert torch.backends.cudnn.enabled == benchmark
        raise KeyError
    assert torch.backends.cudnn.enabled


@pytest.mark.usefixtures('with_cudnn')
def test_folding_is_checked_without_the_rounding_of_cudnn(monkeypatch):
    model, used = segmentor(), []
    compute = model.extract_feat

    def extract_feat(images):
        used.append(torch.backends.cudnn.enabled)
        return compute(images)

    monkeypatch.setattr(model, 'extract_feat', extract_feat)
    fold_batch_norm(model)
    assert used == [False, False]
    assert torch.backends.cudnn.enabled


def test_a_model_without_backbone_stays_as_it_is():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    with fast_inference(model):
        assert batch_norms(model) == 1


@pytest.mark.usefixtures('with_cudnn')
def test_validation_and_test_do_without_plans():
    hook = NewSizesHook()
    for name in ('val', 'test'):
        for _ in range(2):
            getattr(hook, f'before_{name}')(None)
            assert not torch.backends.cudnn.enabled
            getattr(hook, f'after_{name}')(None)
            assert torch.backends.cudnn.enabled
