"""Projects that start from ImageNet weights, of a file or of a server."""
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmlpcam.converters.photo_splits import choose_tag_val
from mmlpcam.converters.pretrained_file import read_pretrained_file
from mmlpcam.engine import Run, StagedRunner, preflight
from mmlpcam.utils import config_path

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'new_project.py'
TRAIN = TOOL.with_name('train.py')
MOBILE = 'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth'


def imagenet_weights(size):
    """Return random weights of backbone and neck, as a file names them."""
    model = Config.fromfile(
        config_path(f'_base_/photos/classifier_{size}.py')).model
    weights = {}
    for part in ('backbone', 'neck'):
        if part in model:
            module = MODELS.build(dict(model[part], init_cfg=None))
            weights.update(module.state_dict())
    return weights


@pytest.fixture
def project(tmp_path, mmseg_scope, monkeypatch, capsys):
    """Make a project of ten photos; return status, output and errors."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    (tmp_path / 'photos').mkdir()
    rows = []
    for index in range(10):
        name = f'p{index}.png'
        Image.fromarray(np.zeros((20, 24, 3),
                                 np.uint8)).save(tmp_path / 'photos' / name)
        rows.append(f'{name},{"cat" if index % 2 else ""}')
    (tmp_path / 'tags.csv').write_text('\n'.join(rows))
    monkeypatch.chdir(tmp_path)

    def make(*options):
        monkeypatch.setattr(
            sys, 'argv',
            ['new_project', 'photos', 'tags.csv', 'project', *options])
        status = runpy.run_path(str(TOOL))['main']()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return make


@pytest.mark.parametrize('size, prefix', [('mobile', 'backbone.'),
                                          ('base', '')])
def test_weights_of_a_file(project, tmp_path, size, prefix):
    """All networks start from the file, normalised as it says."""
    weights = imagenet_weights(size)
    meta = dict(mean=[1, 2, 3], std=[4., 5., 6.])
    torch.save(
        dict(
            state_dict={
                prefix + key: value
                for key, value in weights.items()
            },
            meta=meta), 'w.pth')
    status, out, err = project('--size', size, '--weights', 'w.pth')
    assert status == 0, err
    assert 'not on this machine' not in out
    for name in ('classifier', 'segmentor'):
        model = MODELS.build(Config.fromfile(f'project/{name}.py').model)
        model.init_weights()
        state = model.backbone.state_dict()
        for key in ('conv1.conv.weight', 'conv1.weight'):
            if key in weights:
                assert torch.equal(state[key], weights[key])
        if name == 'classifier' and size == 'mobile':
            assert torch.equal(model.neck.conv2.conv.weight,
                               weights['conv2.conv.weight'])
        assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
        assert model.data_preprocessor.std.flatten().tolist() == [4, 5, 6]


def change_shape(weights):
    weights['conv1.conv.weight'] = torch.zeros(2, 3)


@pytest.mark.parametrize('change, message', [
    (change_shape, r'1 of \d+ are missing or of another shape, such as '
     r'conv1.conv.weight \(32, 3, 3, 3\), which is \(2, 3\)'),
    (lambda weights:
     [weights.pop(key) for key in list(weights)
      if key.startswith('conv2')], 'such as conv2.conv.we'),
    (lambda weights: weights['conv1.conv.weight'].fill_(float('nan')),
     'holds NaN in conv1.conv.weight'),
])
def test_other_weights_are_refused(tmp_path, mmseg_scope, change, message):
    weights = imagenet_weights('mobile')
    change(weights)
    torch.save(weights, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=message):
        read_pretrained_file(tmp_path / 'w.pth', 'mobile')


def test_imagenet_normalisation_without_meta(tmp_path, mmseg_scope):
    torch.save(imagenet_weights('mobile'), tmp_path / 'w.pth')
    found = read_pretrained_file(tmp_path / 'w.pth', 'mobile')
    assert found.pixels['mean'] == [123.675, 116.28, 103.53]
    assert found.init_cfg == dict(
        type='Pretrained', checkpoint=str(tmp_path / 'w.pth'))


def test_refusal_leaves_no_project(project, tmp_path):
    torch.save(dict(a=torch.zeros(1)), 'w.pth')
    status, _, err = project('--size', 'mobile', '--weights', 'w.pth')
    assert status == 1 and "w.pth does not hold the weights of MobileNetV2" \
        in err
    assert not (tmp_path / 'project').exists()
    with pytest.raises(SystemExit):  # it starts from scratch
        project('--size', 'small', '--weights', 'w.pth')


def test_what_is_missing_is_said(project, tmp_path, monkeypatch, capsys):
    """At creation, and in few lines before a training."""

    def offline(request, timeout):
        raise OSError('no network')

    monkeypatch.setattr('urllib.request.urlopen', offline)
    _, out, _ = project('--size', 'mobile')
    cached = str(tmp_path / 'hub/checkpoints' / MOBILE)
    assert f'/{MOBILE}\n    to {cached}' in out
    monkeypatch.setattr(sys, 'argv',
                        ['train', 'project/segmentor.py', '--work-dir', 'run'])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TRAIN), run_name='__main__')
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert "error: stage 'classifier': model.backbone.init_cfg" in printed.err
    assert cached in printed.err and MOBILE in printed.err
    assert len(printed.err.splitlines()) < 10
    assert 'Traceback' not in printed.out + printed.err

    weights = imagenet_weights('mobile')
    Path(cached).parent.mkdir(parents=True)
    torch.save({f'backbone.{k}': v for k, v in weights.items()}, cached)
    cfg = Config.fromfile('project/classifier.py')
    cfg.work_dir = 'run'
    preflight([Run('classifier', 'train', cfg)])
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert torch.equal(model.backbone.conv1.conv.weight,
                       weights['conv1.conv.weight'])


@pytest.mark.parametrize('size', ['base', 'mobile'])
def test_first_look(project, size):
    """Nothing of the network learns but its head; there is no segmentor."""
    assert project('--size', size)[0] == 0
    cfg = Config.fromfile('project/first_look.py')
    cfg.work_dir = 'run'
    stages = {stage.name: stage.cfg for stage in StagedRunner(cfg).stages}
    assert list(stages) == ['classifier', 'tags', 'labels']
    classifier = stages['classifier']
    rates = classifier.optim_wrapper.paramwise_cfg.custom_keys
    assert {
        key: rate.lr_mult
        for key, rate in rates.items()
    } == dict(
        backbone=0, neck=0, decode_head=10)
    for name in ('classifier', 'labels'):
        head = stages[name].model.decode_head
        assert (tuple(head.scales), head.flip) == ((1., ), False)
        assert head.num_classes == 2
    assert stages['labels'].model.test_cfg.bg_thr == 0.2


def test_choice_of_tags_to_keep_back():
    """Each class has its share; eight photos are left in any case."""
    labels = {f'p{i}': () for i in range(40)}
    labels.update({f'p{i}': (0, ) for i in range(20)})
    labels.update({f'p{i}': (0, 1) for i in range(5)})
    chosen = choose_tag_val(labels, list(labels), 0.2, 0)
    assert len(chosen) == len({*chosen}) == 8
    assert sum(1 in labels[i] for i in chosen) == 1
    assert sum(0 in labels[i] for i in chosen) == 4
    assert chosen == choose_tag_val(labels, list(labels)[::-1], 0.2, 0)
    assert chosen != choose_tag_val(labels, list(labels), 0.2, 1)
    assert choose_tag_val(labels, list(labels), 0., 0) == []
    assert len(choose_tag_val(labels, list(labels)[:9], 0.9, 0)) == 1
    assert choose_tag_val(labels, list(labels)[:8], 0.5, 0) == []
