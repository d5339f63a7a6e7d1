"""Mixed precision: which loops and heads run in it, and what it costs."""
import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.engine import StagedRunner, init_amp, mixed_precision, use_amp
from mmlpcam.models import EdgeHead
from mmlpcam.ops import random_walk
from mmlpcam.utils import read_json

ROOT = Path(__file__).resolve().parents[2]


def cfg(type='OptimWrapper', **wrapper):
    return Config(
        dict(
            optim_wrapper=dict(
                type=type, optimizer=dict(type='SGD', lr=0.1), **wrapper),
            val_cfg=dict(type='ValLoop'),
            test_cfg=dict(type='TestLoop')))


def test_training_and_all_loops():
    config = cfg()
    use_amp(config)
    assert config.optim_wrapper.type == 'AmpOptimWrapper'
    assert config.val_cfg.fp16 and config.test_cfg.fp16


def test_a_loop_may_stay_in_single_precision():
    config = cfg()
    config.test_cfg.fp16 = False
    use_amp(config)
    assert config.val_cfg.fp16 and not config.test_cfg.fp16


def test_loops_do_not_lose_the_range_of_bfloat16():
    config = cfg('AmpOptimWrapper', dtype='bfloat16')
    use_amp(config)
    assert config.optim_wrapper.dtype == 'bfloat16'
    assert 'fp16' not in config.val_cfg and 'fp16' not in config.test_cfg


def test_nothing_to_train():
    config = Config(dict(test_cfg=dict(type='TestLoop')))
    use_amp(config)
    assert config.to_dict() == dict(test_cfg=dict(type='TestLoop'))


def test_own_wrappers_are_refused():
    with pytest.raises(ValueError, match="'ApexOptimWrapper': leave --amp"):
        use_amp(cfg('ApexOptimWrapper'))


@pytest.mark.parametrize('has_gpu, kind', [(False, 'CPUAmpOptimWrapper'),
                                           (True, 'AmpOptimWrapper')])
def test_cpus_get_a_wrapper_of_their_own(monkeypatch, has_gpu, kind):
    monkeypatch.setattr(mixed_precision, 'is_cuda_available', lambda: has_gpu)
    config = cfg('AmpOptimWrapper', loss_scale=8., accumulative_counts=2)
    init_amp(config)
    assert config.optim_wrapper.type == kind
    assert ('loss_scale' in config.optim_wrapper) == has_gpu
    assert config.optim_wrapper.accumulative_counts == 2


def test_a_training_step(tiny):
    model = tiny.build().train()
    seen = []
    model.backbone.register_forward_hook(
        lambda module, inputs, feats: seen.append(feats[-1].dtype))
    wrapper = build_optim_wrapper(
        model,
        dict(type='CPUAmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1)))
    sample = SegDataSample(metainfo=dict(img_labels=(1, )))
    before = model.decode_head.weight.detach().clone()
    logs = model.train_step(
        dict(
            inputs=[torch.randint(256, (3, 32, 32), dtype=torch.uint8)],
            data_samples=[sample]), wrapper)
    assert seen == [torch.bfloat16]
    assert logs['loss'].isfinite()
    after = model.decode_head.weight
    assert after.dtype == torch.float32
    assert after.isfinite().all() and not torch.equal(before, after)


def autocast():
    return torch.autocast('cpu', dtype=torch.bfloat16)


def test_the_random_walk_is_exact_under_autocast():
    maps, edge = torch.rand(2, 8, 9), torch.rand(8, 9)
    expected = random_walk(maps, edge, num_steps=16)
    with autocast():
        found = random_walk(maps, edge, num_steps=16)
    assert torch.equal(found, expected)


def test_the_affinity_loss_under_autocast(mmseg_scope):
    torch.manual_seed(0)
    head = EdgeHead((8, 16), (4, 8), num_classes=3, radius=3)
    feats = [torch.rand(2, 8, 16, 16), torch.rand(2, 16, 8, 8)]
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(3, (1, 64, 64))))
        for _ in range(2)
    ]
    expected = head.loss(feats, samples, None)
    with autocast():
        found = head.loss(feats, samples, None)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[name], rtol=.02, atol=0)
    sum(found.values()).backward()
    for parameter in head.parameters():
        assert parameter.grad.isfinite().all()


def test_fused_scales_under_autocast(mmseg_scope):
    norm_cfg = dict(type='BN', requires_grad=True)
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='MultiScaleSegmentor',
            scales=(0.5, ),
            backbone=dict(
                type='ResNetV1c',
                depth=18,
                stem_channels=8,
                base_channels=8,
                norm_cfg=norm_cfg,
                norm_eval=True),
            decode_head=dict(
                type='ASPPV2Head',
                in_channels=64,
                num_classes=3,
                dilations=(1, 2)),
            test_cfg=dict(mode='whole')))
    images = torch.rand(2, 3, 64, 64)
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(3, (1, 64, 64))))
        for _ in images
    ]
    expected = model.loss(images, samples)
    with autocast():
        found = model.loss(images, samples)
    for name, value in found.items():
        if 'loss' in name:
            torch.testing.assert_close(
                value.float(), expected[name], rtol=.05, atol=0)


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """The chain of a method on a small set, run by tools/train.py."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    make_parts_dataset(
        str(tmp_path / 'parts'),
        PartsSettings(num_train=16, num_val=2, size=(64, 64)))
    monkeypatch.setenv('PARTS_DATASET', str(tmp_path / 'parts'))

    def run(name, *flags, method='irn', options=()):
        monkeypatch.setattr(
            sys,
            'argv',
            [
                'train.py',
                str(ROOT / f'configs/{method}/deeplabv3_parts.py'),
                '--work-dir',
                str(tmp_path / name),
                *flags,
                '--cfg-options',
                'train_cfg.max_epochs=1',
                'train_cfg.val_interval=1',
                'stages.classifier.train_cfg.max_epochs=4',
                # large weights: maps exist although little is learned
                *(f'stages.classifier.model.decode_head.init_cfg.{setting}'
                  for setting in ('type=Normal', 'std=1.',
                                  'override.name=conv_seg')),
                *options
            ])
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        return tmp_path / name

    return run


def test_all_stages_of_a_chain(tmp_path):
    config = Config.fromfile(str(ROOT / 'configs/irn/deeplabv3_parts.py'))
    config.work_dir = str(tmp_path)
    plain = {stage.name: stage for stage in StagedRunner(config).stages}
    config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale=8.)
    stages = {stage.name: stage for stage in StagedRunner(config).stages}
    for name in ('classifier', 'irn', 'segmentor'):
        assert stages[name].cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert stages[name].cfg.optim_wrapper.loss_scale == 8.
    assert stages['segmentor'].cfg.val_cfg.fp16
    for name in ('maps', 'labels'):
        assert stages[name].cfg.test_cfg.fp16
    for name in ('seed', 'ir_labels', 'refined'):  # no network
        assert 'fp16' not in stages[name].cfg.test_cfg
    # a started stage keeps its precision
    plain['classifier']._write_state(finished=False)
    with pytest.raises(RuntimeError, match='optim_wrapper.type'):
        stages['classifier'].is_finished()
    plain['maps']._write_state(finished=False)
    with pytest.raises(RuntimeError, match='test_cfg.fp16'):
        stages['maps'].is_finished()


def assert_finite_losses(work_dir, stages):
    for name in stages:
        log, = (work_dir / name).glob('*/vis_data/scalars.json')
        losses = [
            value for line in log.read_text().splitlines()
            for key, value in json.loads(line).items() if 'loss' in key
        ]
        assert losses and all(map(math.isfinite, losses)), name


@pytest.mark.slow
def test_a_chain_scores_as_in_single_precision(chain):
    short = ['stages.irn.train_cfg.max_epochs=2']
    single = chain('single', options=short)
    mixed = chain('mixed', '--amp', options=short)
    assert_finite_losses(mixed, ('classifier', 'irn', 'segmentor'))
    maps = list((mixed / 'maps/maps').iterdir())
    assert len(maps) == 16
    for file in maps:
        with np.load(file) as content:
            assert content['scale_0'].dtype == np.float32
    for stage, name in (('seed', 'cam'), ('seed', 'lpcam'), ('refined',
                                                             'irn')):
        one, other = (
            read_json(folder / stage / 'scores.json')['maps'][name]
            for folder in (single, mixed))
        assert one['mIoU'] == pytest.approx(other['mIoU'], abs=5)
        assert one['grid'] != other['grid']


@pytest.mark.slow
@pytest.mark.parametrize('method, trained, kind', [
    ('amn', ('amn', 'irn'), 'irn'),
    ('psa', ('psa', ), 'psa'),
    ('recam', ('recam', ), 'lpcam'),
    ('mctformer', (), 'mct_lpcam'),
])
def test_methods_in_mixed_precision(chain, method, trained, kind):
    """Finite losses, and masks near those of single precision."""
    options = [f'stages.{stage}.train_cfg.max_epochs=2' for stage in trained]
    single = chain('single', method=method, options=options)
    mixed = chain('mixed', '--amp', method=method, options=options)
    assert_finite_losses(mixed, ('classifier', *trained, 'segmentor'))
    folder = 'seed' if kind.endswith('lpcam') else 'refined'
    one, other = (
        read_json(work / folder / 'scores.json')['maps'][kind]
        for work in (single, mixed))
    assert one['mIoU'] == pytest.approx(other['mIoU'], abs=5)
    assert one['grid'] != other['grid']
