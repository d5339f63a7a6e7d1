import multiprocessing

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmlpcam import config_path
from mmlpcam.engine.loader_processes import stop_loader_processes


@pytest.fixture(params=['epochs', 'iters'])
def runner(request, parts, tmp_path, monkeypatch):
    """A classifier that was trained with loader processes."""
    monkeypatch.setenv('PARTS_DATASET', str(parts))
    monkeypatch.setattr(Config, 'pretty_text', '')
    cfg = Config.fromfile(str(config_path('lpcam/cam_r18_parts.py')))
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(stem_channels=8, base_channels=8),
                decode_head=dict(in_channels=16)),
            train_cfg=dict(max_epochs=1),
            train_dataloader=dict(
                batch_size=2, num_workers=2, persistent_workers=True)))
    if request.param == 'iters':  # keeps an iterator without that
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
        cfg.train_dataloader.persistent_workers = False
        cfg.train_dataloader.sampler = dict(
            type='InfiniteSampler', shuffle=True)
        cfg.param_scheduler = None
    cfg.custom_hooks = []
    cfg.work_dir = str(tmp_path)
    made = Runner.from_cfg(cfg)
    made.train()
    return made


def test_no_process_lives_on(runner):
    """They end while the runner, which is a cycle, is still there."""
    assert len(multiprocessing.active_children()) == 2
    stop_loader_processes(runner)
    assert not multiprocessing.active_children()
