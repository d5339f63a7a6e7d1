"""The demo chain, small."""
from pathlib import Path

import pytest
from mmengine.config import Config

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'parts'
    make_parts_dataset(
        str(folder), PartsSettings(num_train=10, num_val=2, size=(64, 64)))
    return folder


@pytest.fixture
def tiny_chain(parts, monkeypatch):
    """The demo chain, shrunk to seconds."""
    # formatting it takes longer than all the rest
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setenv('PARTS_DATASET', str(parts))
    cfg = Config.fromfile(str(ROOT / 'configs/lpcam/deeplabv3_parts.py'))
    small = dict(stem_channels=8, base_channels=8)
    cfg.model.backbone.update(small)
    cfg.model.decode_head.update(in_channels=32, channels=8)
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    cfg.param_scheduler[1].end = 2
    for stage in cfg.stages.values():
        stage.model = dict(
            stage.get('model', {}),
            backbone=dict(small),
            # large weights: maps exist although nothing is learned
            decode_head=dict(
                in_channels=16,
                num_clusters=3,
                init_cfg=dict(
                    type='Normal', std=1., override=dict(name='conv_seg'))))
    cfg.stages.classifier.train_cfg = dict(max_epochs=2)
    return cfg
