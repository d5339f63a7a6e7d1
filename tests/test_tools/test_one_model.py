# ruff: noqa: C408 (configs are written as dict(...))
"""Tools that run one model: train, test and predict."""
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


class Project:
    """A small segmentor for the six images of `voc_mini`."""

    def __init__(self, tiny, data, folder):
        self.folder, self.data = folder, data
        self.model = tiny.cfg(preprocessor=dict(size=(64, 64)))
        self.model.update(
            type='EncoderDecoder',
            decode_head=dict(
                type='FCNHead',
                in_channels=tiny.channels,
                channels=4,
                num_classes=len(tiny.classes),
                num_convs=1,
                norm_cfg=dict(type='BN')),
            test_cfg=dict(mode='whole'))
        dataset = data.dataset(with_masks=True)['dataset']
        loader = dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(dataset, indices=[0, 1, 2]))
        score = dict(
            loader, batch_size=1, dataset=dict(dataset, indices=[4, 5]))
        evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        self.cfg = dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmlpcam']),
            model=self.model,
            test_pipeline=[dict(type='LoadPhoto'),
                           dict(type='PackSegInputs')],
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=1),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=.01)),
            val_dataloader=score,
            val_cfg=dict(type='ValLoop'),
            val_evaluator=evaluator,
            test_dataloader=score,
            test_cfg=dict(type='TestLoop'),
            test_evaluator=evaluator)

    def write(self, **changes):
        Config({**self.cfg, **changes}).dump(self.folder / 'config.py')

    def train_none(self):
        """Write a checkpoint of random weights."""
        torch.manual_seed(0)
        model = MODELS.build(self.model)
        model.decode_head.conv_seg.weight.data.normal_(0, 1)
        torch.save(
            dict(
                state_dict=model.state_dict(),
                meta=dict(dataset_meta=self.data.metainfo)),
            self.folder / 'model.pth')


@pytest.fixture
def project(tiny, voc_mini, tmp_path, monkeypatch):
    # the report on compilers takes longer than all the rest
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    made = Project(tiny, voc_mini, tmp_path)
    made.write()
    made.train_none()
    return made


@pytest.fixture
def run(project, monkeypatch):
    """Run a tool in the folder of the project."""

    def run(tool, *arguments):
        monkeypatch.chdir(project.folder)
        monkeypatch.setattr(sys, 'argv',
                            [tool, 'config.py', *map(str, arguments)])
        return runpy.run_path(str(TOOLS / f'{tool}.py'))['main']()

    return run


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


# --- train ----------------------------------------------------------------


@pytest.mark.parametrize('runner', [{}, dict(runner_type='Runner')])
def test_all_masks_are_looked_at_first(project, run, runner):
    """Also where the config names MMEngine's runner."""
    project.write(**runner)
    mask = project.data.root / 'SegmentationClass/more/2008_000006.png'
    Image.fromarray(np.full((32, 48), 77, np.uint8)).save(mask)
    with pytest.raises(
            ValueError, match=r'val_dataloader: .*2008_000006\.png has 77'):
        run('train', '--work-dir', 'run')
    assert files(project.folder / 'run') == {}
    project.write(
        **runner, val_dataloader=None, val_cfg=None, val_evaluator=None)
    run('train', '--work-dir', 'run')
    assert (project.folder / 'run/epoch_1.pth').exists()


# --- test -----------------------------------------------------------------


def test_masks_are_written_once(project, run):
    run('test', 'model.pth', '--work-dir', 'run', '--out', 'out')
    out = project.folder / 'out'
    assert {*files(out)} == {
        'manifest.json', 'masks/more/2008_000005.png',
        'masks/more/2008_000006.png'
    }


@pytest.mark.parametrize('name', ['masks/other.png', 'manifest.json'])
def test_masks_of_another_model_stay_alone(project, run, name):
    path = project.folder / 'out' / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b'of another model')
    with pytest.raises(
            SystemExit,
            match=f'out holds {name.partition("/")[0]} already, .* another '
            'folder for --out'):
        run('test', 'model.pth', '--work-dir', 'run', '--out', 'out')
    assert files(project.folder / 'out') == {name: b'of another model'}
    assert not (project.folder / 'run').exists()


def test_config_without_test_time_augmentation(project, run):
    with pytest.raises(
            SystemExit,
            match=r"no tta_model.*\.config_path\('_base_/tta_crf.py'\) to the "
            'list _base_'):
        run('test', 'model.pth', '--tta')


# --- predict --------------------------------------------------------------


def test_one_bad_photo_among_good_ones(project, run, capsys):
    photos = project.data.root / 'JPEGImages'
    options = ('model.pth', photos, 'out', '--device', 'cpu')
    assert run('predict', *options) == 0
    out = project.folder / 'out'
    good = files(out)
    assert sum(name.startswith('masks/') for name in good) == 6
    capsys.readouterr()

    out.rename(project.folder / 'before')
    path = photos / 'half.png'
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(
            np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    (photos / 'more/text.jpg').write_text('no photo')
    assert run('predict', *options) == 1
    assert files(out) == good
    printed = capsys.readouterr()
    assert '6 of 8 masks written' in printed.out
    errors = printed.err.splitlines()
    for name in ('half.png', 'more/text.jpg'):
        assert sum(
            line.startswith(f'error: no mask of {photos / name}: ')
            for line in errors) == 1
