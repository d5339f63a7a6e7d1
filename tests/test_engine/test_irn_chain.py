"""The chain with IRN: killed in every stage, it ends in the same files."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.engine import last_checkpoint
from mmlpcam.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
STAGES = ('classifier', 'maps', 'seed', 'ir_labels', 'irn', 'labels',
          'refined', 'segmentor')


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The chain of the generated set, shrunk to seconds."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    make_parts_dataset(
        str(tmp_path / 'parts'),
        PartsSettings(num_train=6, num_val=2, size=(64, 64)))
    monkeypatch.setenv('PARTS_DATASET', str(tmp_path / 'parts'))
    cfg = Config.fromfile(str(ROOT / 'configs/irn/deeplabv3_parts.py'))
    backbone = dict(stem_channels=8, base_channels=8)
    classifier = dict(
        backbone=backbone,
        # large weights: maps exist although nothing is learned
        decode_head=dict(
            in_channels=16,
            num_clusters=3,
            init_cfg=dict(
                type='Normal', std=1., override=dict(name='conv_seg'))))
    irn = dict(backbone=backbone, decode_head=dict(in_channels=(8, 8, 16)))
    two_epochs = dict(
        train_cfg=dict(max_epochs=2), train_dataloader=dict(batch_size=2))
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=backbone,
                decode_head=dict(in_channels=32, channels=8)),
            **two_epochs,
            stages=dict(
                classifier=dict(model=classifier, **two_epochs),
                maps=dict(model=classifier),
                # two processes, as the config has it
                ir_labels=dict(label_dataloader=dict(batch_size=2)),
                irn=dict(model=irn, **two_epochs),
                labels=dict(model=irn))))
    return cfg


def run(cfg, work_dir):
    cfg = cfg.copy()
    cfg.work_dir = str(work_dir)
    return RUNNERS.build(cfg).train()


def contents(work_dir):
    """What the chain leaves: labels byte by byte, weights by value."""
    files = {
        str(path.relative_to(work_dir)): path.read_bytes()
        for path in work_dir.rglob('*')
        if path.suffix in ('.png', '.npz') or path.name == 'scores.json'
    }
    weights = {
        f'{name}.{key}': value
        for name in ('classifier', 'irn', 'segmentor')
        for key, value in torch.load(
            last_checkpoint(work_dir /
                            name), weights_only=False)['state_dict'].items()
    }
    return files, weights


@pytest.mark.slow
def test_killed_in_every_stage(config, tmp_path, monkeypatch):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    assert run(config, whole) is not None
    files, weights = contents(whole)
    for folder, suffix in [('maps/maps', 'npz'),
                           ('maps/extra_maps/cam', 'npz'),
                           ('ir_labels/masks', 'png'), ('labels/maps', 'npz'),
                           ('labels/masks', 'png')]:
        made = [
            name for name in files
            if name.startswith(folder) and name.endswith(suffix)
        ]
        assert len(made) == 6, folder
    assert set(read_json(whole / 'refined/scores.json')['maps']) == {'irn'}

    call_hook = Runner.call_hook
    count = {}

    def kill_once(self, name, **kwargs):
        stage = Path(self.work_dir).name
        call_hook(self, name, **kwargs)
        if name in ('after_train_iter', 'after_test_iter'):
            count[stage] = count.get(stage, 0) + 1
            if count[stage] == 2:
                raise Killed

    monkeypatch.setattr(Runner, 'call_hook', kill_once)
    for stage in STAGES:
        with pytest.raises(Killed):
            run(config, broken)
        assert not read_json(broken / stage / 'stage.json')['finished']
    assert run(config, broken) is not None
    again = contents(broken)
    assert again[0].keys() == files.keys()
    for name, content in files.items():
        assert again[0][name] == content, name
    assert again[1].keys() == weights.keys()
    for name, value in weights.items():
        assert torch.equal(again[1][name], value), name
    # the same command again does nothing
    assert run(config, broken) is None
