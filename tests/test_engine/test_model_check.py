"""Models that do not fit together are told before they are trained."""
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from mmlpcam.engine.preflight.model import ModelCheck

CLASSES = ('background', 'cat', 'dog', 'bird')


@MODELS.register_module()
class Patches(BaseModule):
    """Patches of 16 pixels, returned in the one way or the other."""
    forms = dict(
        tuple=lambda x: (x, ),
        bare=lambda x: x,
        dict=lambda x: dict(last=x),
        none=lambda x: None,
        tokens=lambda x: (x.flatten(2), ))

    def __init__(self, form='tuple'):
        super().__init__()
        self.form = self.forms[form]
        self.conv = torch.nn.Conv2d(3, 32, 16, 16)

    def forward(self, x):
        return self.form(self.conv(x))


def check(model, task='train'):
    found = ModelCheck(Config(dict(model=model)))
    found.check_num_classes(CLASSES)
    found.check_heads()
    found.check_strides()
    if task == 'train':
        found.check_training(2)


def on_patches(tiny, form, **head):
    model = tiny.cfg()
    model['backbone'] = dict(type='Patches', form=form)
    model['decode_head'].update(head)
    return model


def mctformer(tiny, backbone=(), head=()):
    return dict(
        tiny.cfg(),
        backbone={
            **dict(
                type='MCTransformer',
                num_classes=4,
                img_size=32,
                patch_size=8,
                embed_dims=12,
                depth=2,
                num_heads=2,
                num_class_layers=1),
            **dict(backbone)
        },
        decode_head={
            **dict(
                type='MCTPatchHead', in_channels=12, num_classes=4, stride=8),
            **dict(head)
        })


def two_stages(kind, out_indices):
    return dict(
        type=kind,
        depth=18,
        stem_channels=4,
        base_channels=4,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=out_indices)


def affinity_net(tiny, **head):
    return dict(
        tiny.cfg(),
        type='AffinityNet',
        backbone=two_stages('ResNet', (0, 1)),
        decode_head=dict(
            dict(
                type='AffinityHead',
                in_channels=(4, 8),
                channels=(3, 5),
                num_classes=4,
                stride=4,
                radius=3), **head))


def irnet(tiny, out_indices=(0, 1), **head):
    return dict(
        tiny.cfg(),
        type='IRNet',
        backbone=two_stages('StemResNet', out_indices),
        decode_head=dict(
            dict(
                type='EdgeHead',
                in_channels=(4, 4, 8),
                strides=(4, 4, 8),
                num_classes=4,
                channels=8,
                radius=3), **head))


def test_what_fits(tiny):
    check(tiny.cfg())
    check(on_patches(tiny, 'tuple', rounding='floor'))
    check(mctformer(tiny))
    check(affinity_net(tiny))
    check(irnet(tiny))


@pytest.mark.parametrize('form, message', [
    ('bare', r'tuple of feature maps .*returns a Tensor: return \(x, \)'),
    ('dict', 'tuple of feature maps .*returns a dict'),
    ('none', 'tuple of feature maps .*returns a NoneType'),
    ('tokens', r'feature -1 is no map .* the shape \(1, 32, 64\)'),
])
def test_what_a_backbone_returns(tiny, form, message):
    """A bare tensor would be taken for a list of them, one per image."""
    with pytest.raises(ValueError, match=message):
        check(on_patches(tiny, form, rounding='floor'))


def test_pixels_that_are_left_over(tiny):
    """At a size that is no multiple of the stride."""
    match = "decode_head.rounding is '{}', .* {} cells at .*: set it to '{}'"
    with pytest.raises(ValueError, match=match.format('ceil', 8, 'floor')):
        check(on_patches(tiny, 'tuple'))
    model = tiny.cfg()
    model['decode_head']['rounding'] = 'floor'
    with pytest.raises(ValueError, match=match.format('floor', 9, 'ceil')):
        check(model)


@pytest.mark.parametrize('number', [3, 5])
def test_class_tokens_of_other_classes(tiny, number):
    with pytest.raises(
            ValueError, match=f'has {number - 1} class tokens, .*set num_cl'):
        check(mctformer(tiny, dict(num_classes=number)))


@pytest.mark.parametrize('head', [
    dict(in_index=[0, 1], in_channels=[16, 32]),
    dict(in_channels=[32]),
    dict(in_channels='32'),
    dict(num_classes='4')
])
def test_maps_are_of_one_feature_map(tiny, head):
    model = tiny.cfg()
    model['decode_head'].update(head)
    with pytest.raises(TypeError, match='of one feature map: expected int'):
        check(model)


@pytest.mark.parametrize('whitening', [0, 33, 1.5, True])
def test_dimensions_of_whitening(tiny, whitening):
    model = tiny.cfg()
    model['decode_head']['whitening'] = whitening
    with pytest.raises(ValueError, match=r'`whitening` .* in \[1, 32\]'):
        check(model)


@pytest.mark.parametrize('task', ['train', 'test'])
@pytest.mark.parametrize('net, changes, message', [
    (affinity_net, dict(stride=8), 'decode_head.stride is 8.* stride 4'),
    (affinity_net, dict(in_channels=(8, 4)), r'are \[4, 8\]: in_channels'),
    (affinity_net, dict(in_channels=(4, 8, 9),
                        channels=(3, 3, 3)), r'are \[4, 8\]: in_channels'),
    (irnet, dict(out_indices=(1, )), r'are \[4, 8\]: in_channels'),
    (irnet, dict(strides=(4, 8, 8)), r'strides\[1\] is 8.* stride 4'),
])
def test_heads_of_pairs(tiny, net, changes, message, task):
    """Predictions come after hours of training."""
    with pytest.raises(ValueError, match=message):
        check(net(tiny, **changes), task)
