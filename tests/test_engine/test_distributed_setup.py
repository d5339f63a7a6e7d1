"""Launchers without an accelerator."""
import pytest
from mmengine.config import Config

from mmlpcam.engine import distributed as module
from mmlpcam.engine import init_distributed


@pytest.fixture(autouse=True)
def _no_group(monkeypatch):
    """As on a CPU, with a group that exists."""
    monkeypatch.setattr(module, 'is_cuda_available', lambda: False)
    monkeypatch.setattr(module, 'is_distributed', lambda: True)


def cfg(launcher='pytorch', **kwargs):
    norm = dict(type='SyncBN', requires_grad=True)
    return Config(
        dict(
            launcher=launcher,
            model=dict(
                backbone=dict(norm_cfg=norm),
                auxiliary_head=[dict(norm_cfg=norm),
                                dict(type='FCNHead')]),
            **kwargs))


def test_wrapper_without_devices_and_plain_batch_norm():
    config = cfg()
    init_distributed(config)
    assert config.model_wrapper_cfg.device_ids is None
    assert config.model.backbone.norm_cfg.type == 'BN'
    assert config.model.auxiliary_head[0].norm_cfg.type == 'BN'
    assert config.model.auxiliary_head[1].type == 'FCNHead'


def test_a_wrapper_of_the_user_is_kept():
    config = cfg(model_wrapper_cfg=dict(type='Own'))
    init_distributed(config)
    assert config.model_wrapper_cfg == dict(type='Own')


def test_nothing_is_done_without_a_launcher():
    config = cfg('none')
    init_distributed(config)
    assert 'model_wrapper_cfg' not in config
    assert config.model.backbone.norm_cfg.type == 'SyncBN'


def test_other_launchers_are_refused():
    with pytest.raises(ValueError, match="got 'slurm'"):
        init_distributed(cfg('slurm'))


def test_with_an_accelerator_the_group_is_that_of_the_runner(monkeypatch):
    started = []
    monkeypatch.setattr(module, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(module, 'is_distributed', lambda: bool(started))
    monkeypatch.setattr(module, 'init_dist',
                        lambda *args, **kwargs: started.append((args, kwargs)))
    config = cfg('slurm', env_cfg=dict(dist_cfg=dict(backend='nccl')))
    init_distributed(config)
    init_distributed(config)  # the next stage
    assert started == [(('slurm', ), dict(backend='nccl'))]
    assert 'model_wrapper_cfg' not in config
    assert config.model.backbone.norm_cfg.type == 'SyncBN'
