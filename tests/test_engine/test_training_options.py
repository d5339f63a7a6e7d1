"""What a command line adds to training, with one process."""
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.engine import last_checkpoint
from mmlpcam.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
CLASSIFIER = 'configs/lpcam/cam_r18_parts.py'
CHAIN = 'configs/lpcam/deeplabv3_parts.py'
SMALL = {
    'model.backbone.stem_channels': 8,
    'model.backbone.base_channels': 8,
    'model.decode_head.in_channels': 16,
    'model.decode_head.num_clusters': 3,
    # large weights: maps exist although nothing is learned
    'model.decode_head.init_cfg.type': 'Normal',
    'model.decode_head.init_cfg.std': 1.,
    'model.decode_head.init_cfg.override.name': 'conv_seg',
    'train_cfg.max_epochs': 2,
    'train_dataloader.batch_size': 4,
}


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.fixture(autouse=True)
def _settings_of_the_process(monkeypatch):
    """Undo what `randomness.deterministic` switches on."""
    # its layout takes longer than the training
    monkeypatch.setattr(Config, 'pretty_text', '')
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'parts'
    make_parts_dataset(
        str(folder), PartsSettings(num_train=8, num_val=2, size=(64, 64)))
    return folder


@pytest.fixture
def train(parts, monkeypatch):
    """Run tools/train.py and return the weights it leaves."""
    monkeypatch.setenv('PARTS_DATASET', str(parts))

    def run(work_dir, options, *flags, config=CLASSIFIER):
        monkeypatch.setattr(sys, 'argv', [
            'train.py',
            str(ROOT / config), '--work-dir',
            str(work_dir), *flags, '--cfg-options',
            *(f'{key}={value}' for key, value in options.items())
        ])
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        return None if config == CHAIN else weights(work_dir)

    return run


def weights(work_dir):
    checkpoint = torch.load(last_checkpoint(work_dir), weights_only=False)
    return checkpoint['state_dict']


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


@pytest.mark.parametrize('num_workers', [0, 2])
def test_same_seed_same_weights(train, tmp_path, num_workers):
    options = {
        **SMALL, 'randomness.deterministic': True,
        'train_dataloader.num_workers': num_workers
    }
    one = train(tmp_path / 'one', options)
    assert torch.are_deterministic_algorithms_enabled()
    assert_equal(one, train(tmp_path / 'two', options))
    other = train(tmp_path / 'other', {**options, 'randomness.seed': 1})
    name = 'decode_head.conv_seg.weight'
    assert not torch.allclose(one[name], other[name])


def test_resume_of_a_plain_run(train, tmp_path, monkeypatch):
    whole = train(tmp_path / 'whole', SMALL)
    call_hook = Runner.call_hook

    def kill_in_the_second_epoch(self, name, **kwargs):
        call_hook(self, name, **kwargs)
        if name == 'after_train_iter' and self.epoch == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Runner, 'call_hook', kill_in_the_second_epoch)
        with pytest.raises(Killed):
            train(tmp_path / 'broken', SMALL)
    first = tmp_path / 'broken/epoch_1.pth'
    assert last_checkpoint(tmp_path / 'broken') == str(first)
    written = first.stat().st_mtime_ns
    assert_equal(whole, train(tmp_path / 'broken', SMALL, '--resume'))
    assert first.stat().st_mtime_ns == written, 'the first epoch ran again'


def test_accumulated_batches_are_one_large_batch(train, tmp_path):
    # nothing but the batch may differ: no flips, no schedule in iterations
    options = {
        **SMALL, 'model.backbone.norm_eval': True,
        'optim_wrapper.optimizer._delete_': True,
        'optim_wrapper.optimizer.type': 'SGD',
        'optim_wrapper.optimizer.lr': 0.01,
        'param_scheduler': None,
        'train_dataloader.dataset.dataset.pipeline.1.prob': 0.
    }
    large, halves, small = (train(
        tmp_path / f'{batch_size}x{count}', {
            **options, 'train_dataloader.batch_size': batch_size,
            'optim_wrapper.accumulative_counts': count
        }) for batch_size, count in ((4, 1), (2, 2), (2, 1)))
    trained = [
        name for name in large if name.endswith('weight')
        and not torch.allclose(large[name], small[name], atol=1e-4)
    ]
    assert 'backbone.stem.0.weight' in trained
    for name in trained:
        torch.testing.assert_close(
            large[name], halves[name], rtol=1e-4, atol=1e-6)


def test_options_reach_all_stages(train, tmp_path):
    """By name, by number and inside lists, from the command line."""
    options = {
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 4,
        'optim_wrapper.accumulative_counts': 2,
        'stages.classifier.optim_wrapper.accumulative_counts': 3,
        'stages.0.param_scheduler.1.end': 2,
        'stages.labels.model.test_cfg.bg_thr': 0.3,
        **{
            f'stages.0.{key}': value
            for key, value in SMALL.items()
        },
        **{
            f'stages.1.{key}': value
            for key, value in SMALL.items() if key.startswith('model')
        }
    }
    train(tmp_path, options, config=CHAIN)
    found = {
        name: read_json(tmp_path / name / 'stage.json')
        for name in ('classifier', 'labels', 'seed', 'segmentor')
    }
    assert all(stage['finished'] for stage in found.values())
    classifier, labels, _, segmentor = (
        stage['settings'] for stage in found.values())
    assert classifier['optim_wrapper']['accumulative_counts'] == 3
    assert classifier['param_scheduler'][0]['type'] == 'LinearLR'
    assert classifier['param_scheduler'][1]['end'] == 2
    assert classifier['train_cfg']['max_epochs'] == 2
    assert (tmp_path / 'classifier/epoch_2.pth').exists()
    assert labels['model']['test_cfg']['bg_thr'] == 0.3
    assert segmentor['optim_wrapper']['accumulative_counts'] == 2
