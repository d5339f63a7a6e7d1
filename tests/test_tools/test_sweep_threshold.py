import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from PIL import Image

from mmlpcam.evaluation import CAMIoUMetric, PseudoLabelWriter
from mmlpcam.utils.masks import read_index_mask, write_index_mask
from mmlpcam.visualization import Curve, draw_curves

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'sweep_threshold.py'


@pytest.fixture
def sweep(monkeypatch):
    """The tool as a function of its arguments."""
    spec = importlib.util.spec_from_file_location('sweep_threshold', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        return module.main()

    return run


@pytest.fixture
def config(voc_mini, tmp_path):
    """Config of a classifier, as far as the tool looks at it."""
    path = tmp_path / 'mini.py'
    Config(
        dict(
            test_dataloader=dict(dataset=voc_mini.dataset(with_masks=True)),
            test_evaluator=dict(type='CAMIoUMetric',
                                split='VOC mini'))).dump(path)
    return path


@pytest.fixture
def labels(tiny, voc_mini, tmp_path):
    """Folder with the maps of a model, and the scores of the metric."""
    dataset = DATASETS.build(voc_mini.dataset(with_masks=True))
    folder = tmp_path / 'labels'
    writer = PseudoLabelWriter(str(folder), save_maps=True)
    metric = CAMIoUMetric(out_file=str(folder / 'scores.json'))
    model = tiny.build(map_type='cam')
    for made in (writer, metric):
        made.dataset_meta = dataset.metainfo
    for sample in dataset:
        predicted = [
            one.to_dict() for one in model.test_step(pseudo_collate([sample]))
        ]
        writer.process(None, predicted)
        metric.process(None, predicted)
    metric.evaluate(len(dataset))
    return folder


def refine(folder):
    """Turn stored maps into those of a random walk."""
    for path in folder.rglob('*.npz'):
        with np.load(path) as content:
            changed = {
                **content, 'source': np.str_('irn'),
                'normalization': np.str_('image')
            }
        np.savez(path, **changed)


def test_scores_are_those_of_the_metric(sweep, config, labels, capsys):
    assert sweep(config, labels) == 0
    expected = json.loads((labels / 'scores.json').read_text())
    cam = expected['maps']['cam']
    report = json.loads((labels / 'sweep.json').read_text())
    assert report['suggested']['bg_thr'] == cam['bg_thr']
    assert report['grid']['threshold'] == expected['thresholds']
    assert report['num_images'] == 6 and report['refined'] is False
    assert report['split'] == 'VOC mini' and report['tuned_on_split'] is True
    for name, values in cam['grid'].items():
        assert report['grid'][name] == values
    with open(labels / 'sweep.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100 and set(rows[0]) == set(report['grid'])
    for name, values in report['grid'].items():
        assert [float(row[name] or 'nan') for row in rows] == pytest.approx(
            [np.nan if value is None else value for value in values],
            nan_ok=True)
    picture = np.asarray(Image.open(labels / 'sweep.png'))
    assert picture.shape[2] == 3 and picture.shape[0] > 500
    text = capsys.readouterr().out
    assert f'seed threshold {cam["bg_thr"]:.2f}: highest mIoU' in text
    for name in ('foreground', 'background'):
        assert f'IR {name}, suggested' in text
        assert f'IR {name}, rule of thumb' in text
    assert 'Tuned with the masks of VOC mini' in text
    # of 100 thresholds, those in steps of 0.05 and the suggested ones
    table = text.split('seed threshold')[0].splitlines()
    shown = [line.split('|')[1].strip() for line in table
             if line[:2] == '| '][1:]
    assert shown == sorted(
        {f'{k / 20:.2f}'
         for k in range(20)}
        | {f'{x:.2f}'
           for x in report['suggested'].values()})


def test_refined_maps(sweep, config, labels, tmp_path, capsys):
    refine(labels)
    out = tmp_path / 'new' / 'out'
    assert sweep(config, labels / 'maps', '--out', out) == 0
    report = json.loads((out / 'sweep.json').read_text())
    assert report['refined'] is True
    assert list(report['suggested']) == ['bg_thr']
    assert report['rule_of_thumb'] == {}
    text = capsys.readouterr().out
    assert 'mask threshold' in text and 'IR foreground' not in text
    # no panel for confident labels
    assert Image.open(out / 'sweep.png').height < 500
    assert {path.name
            for path in out.iterdir()
            } == {'sweep.csv', 'sweep.json', 'sweep.png'}


def test_own_grid_that_is_too_narrow(sweep, config, labels, capsys):
    assert sweep(config, labels, '--thresholds', .9, .94, .02) == 0
    report = json.loads((labels / 'sweep.json').read_text())
    assert report['grid']['threshold'] == [.9, .92, .94]
    text = capsys.readouterr().out
    assert 'end of the grid: widen --thresholds' in text
    # a short grid is printed as a whole
    assert all(f'|      {thr:.2f} |' in text for thr in (.9, .92, .94))


def test_images_without_foreground_give_strict_json(sweep, config, labels,
                                                    voc_mini):

    def refuse(name):
        raise ValueError(f'{name} is no JSON')

    # the fourth image has no label; one with 0 and 255 alone is refused
    mask = voc_mini.root / f'SegmentationClass/{voc_mini.image_ids[3]}.png'
    write_index_mask(mask, np.zeros_like(read_index_mask(mask)))
    options = ['--cfg-options', 'test_dataloader.dataset.dataset.indices=[3]']
    assert sweep(config, labels, *options) == 0
    report = json.loads(
        (labels / 'sweep.json').read_text(), parse_constant=refuse)
    assert report['num_images'] == 1
    assert report['grid']['fg_precision'][0] is None
    assert (labels / 'sweep.csv').read_text().splitlines()[1][:5] == '0.0,1'


def test_dataset_and_evaluator_of_another_kind(sweep, config, labels, voc_mini,
                                               capsys):
    """Any MMSegmentation dataset will do."""
    Config(
        dict(
            test_dataloader=dict(
                dataset=voc_mini.dataset(with_masks=True)['dataset']),
            test_evaluator=[dict(type='IoUMetric')])).dump(config)
    assert sweep(config, labels) == 0
    assert f'masks of the test_dataloader of {config}' in (
        capsys.readouterr().out)


def test_missing_maps(sweep, config, labels, capsys):
    (labels / 'maps' / 'more' / '2008_000006.npz').unlink()
    assert sweep(config, labels) == 1
    message = capsys.readouterr().err
    assert message.startswith('error: 1 of 6 images have no maps in')
    assert "'more/2008_000006'" in message
    assert not (labels / 'sweep.json').exists()


def test_config_without_masks(sweep, config, labels, capsys):
    Config(dict(model=dict(type='CAMSegmentor'))).dump(config)
    assert sweep(config, labels) == 1
    assert 'has no test_dataloader' in capsys.readouterr().err


def test_out_that_cannot_be_made(sweep, config, labels, capsys):
    out = labels / 'scores.json' / 'out'
    assert sweep(config, labels, '--out', out) == 1
    assert f'{out}' in capsys.readouterr().err


def test_help(sweep, capsys):
    with pytest.raises(SystemExit) as stopped:
        sweep('--help')
    assert stopped.value.code == 0
    assert 'rule of thumb' in capsys.readouterr().out


def test_curves_and_marks_are_drawn():
    x = np.linspace(0, 1, 11)
    empty = draw_curves(x, {'y': []}, {}, 'title', 'x')
    line = {'y': [Curve('line', 1 - x)]}
    curve = draw_curves(x, line, {}, 'title', 'x')
    marked = draw_curves(x, line, dict(here=.5), 'title', 'x')
    assert curve.dtype == np.uint8 and curve.shape[2] == 3
    assert (empty[..., 2] == 255).mean() > .9  # white paper
    blue = (curve == (0, 114, 178)).all(2)
    assert blue.sum() > 300 and not (empty == (0, 114, 178)).all(2).any()
    # a line from the bottom of the panel to its top
    column = (marked < 60).all(2).sum(0)
    assert (column > .6 * len(marked)).sum() > ((curve < 60).all(2).sum(0)
                                                > .6 * len(curve)).sum()
