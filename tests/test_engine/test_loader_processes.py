import multiprocessing

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmlpcam import config_path
from mmlpcam.engine.loader_processes import stop_loader_processes


@pytest.fixture
def runner(parts, tmp_path, monkeypatch):
    """A classifier that was trained with persistent processes."""
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
    cfg.custom_hooks = []
    cfg.work_dir = str(tmp_path)
    made = Runner.from_cfg(cfg)
    made.train()
    return made


def test_each_process_ends_when_it_is_told(runner, monkeypatch):
    """None is waited for to the end of its time."""
    waits = []

    def join(process, timeout=None):
        original(process, timeout)
        waits.append((timeout, process.exitcode))

    original = multiprocessing.Process.join
    assert len(multiprocessing.active_children()) == 2
    monkeypatch.setattr(multiprocessing.Process, 'join', join)
    stop_loader_processes(runner)
    # a process that was waited for in vain has no exit code, or that of a kill
    assert [code for _, code in waits] == [0, 0]
    assert not multiprocessing.active_children()
