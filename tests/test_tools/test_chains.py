"""Whole chains through the command line, as users start them."""
import json
import re
import runpy
import sys
import time
from pathlib import Path

import mmseg
import pytest
from processes import ROOT, run, start

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.utils import read_json

TOOLS = sorted(
    str(path.relative_to(ROOT / 'tools'))
    for path in (ROOT / 'tools').rglob('[!_]*.py')
    if path.parent.name != 'benchmarks')
SHORT = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'stages.0.train_cfg.max_epochs=3',
    # large weights: maps exist although little is learned
    'stages.0.model.decode_head.init_cfg.type=Normal',
    'stages.0.model.decode_head.init_cfg.std=1.',
    'stages.0.model.decode_head.init_cfg.override.name=conv_seg',
]


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'parts'
    make_parts_dataset(
        str(folder), PartsSettings(num_train=16, num_val=2, size=(64, 64)))
    return folder


@pytest.mark.parametrize('tool', TOOLS)
def test_help(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [tool, '--help'])
    monkeypatch.syspath_prepend(ROOT / 'tools')
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    assert stop.value.code == 0
    assert 'usage:' in capsys.readouterr().out


@pytest.mark.slow
def test_benchmarks_compare_what_they_time(tmp_path):
    run(ROOT / 'tools/benchmark.py', 'maps', '--repeats', '2', '--channels',
        '16', '--json', tmp_path / 'maps.json', '--markdown',
        tmp_path / 'maps.md')
    run(ROOT / 'tools/benchmark.py', 'walk', '--grid', '20', '30', '--images',
        '2', '--json', tmp_path / 'walk.json')
    for name, ways in (('maps', ['loop',
                                 'product']), ('walk', ['squares', 'steps'])):
        content = json.loads((tmp_path / f'{name}.json').read_text())
        comparison, = content['comparisons']
        assert list(comparison['seconds']) == ways
        difference = re.search(r'difference of the maps: (\S+)[. ]',
                               comparison['notes'][0])
        assert float(difference[1]) < 1e-3
    run(ROOT / 'tools/benchmark.py', 'crf', '--count', '2', '--json',
        tmp_path / 'crf.json')
    comparison, = json.loads(
        (tmp_path / 'crf.json').read_text())['comparisons']
    share = re.search(r'agree: (\S+) %', comparison['notes'][0])
    assert float(share[1]) > 99
    assert '| product |' in (tmp_path / 'maps.md').read_text()


@pytest.mark.slow
def test_benchmark_of_labels_agrees_with_the_plain_loop(tmp_path):
    small = ('--config', ROOT / 'configs/lpcam/cam_r18_parts.py',
             '--num-photos', '4', '--repeats', '1', '--json',
             tmp_path / 'found.json')
    run(ROOT / 'tools/benchmark.py', 'labels', '--batch-size', '2', '--fp16',
        '--num-workers', '2', '--num-writers', '1', *small)
    comparison, = json.loads(
        (tmp_path / 'found.json').read_text())['comparisons']
    assert list(comparison['seconds']) == [
        'plain loop', 'CAM', 'LPCAM', 'LPCAM, half precision'
    ]
    for note, least in zip(comparison['notes'], [99.5, 99]):
        assert float(re.search(r'(\S+) %', note)[1]) > least
    run(ROOT / 'tools/benchmark.py', 'prototypes', *small)
    comparison, = json.loads(
        (tmp_path / 'found.json').read_text())['comparisons']
    number, moved = map(int, re.findall(r'\d+', comparison['notes'][0]))
    assert 0 <= moved < number / 1000
    run(ROOT / 'tools/benchmark.py', 'sizes', '--config', small[1],
        '--num-photos', '1', '--repeats', '1', '--json',
        tmp_path / 'found.json')
    comparison, = json.loads(
        (tmp_path / 'found.json').read_text())['comparisons']
    assert list(comparison['seconds']) == ['new sizes', 'sizes seen before']
    for work in 'masks', 'prototypes':
        run(ROOT / 'tools/benchmark.py', 'processes', '--work', work, *small)
        comparison, = json.loads(
            (tmp_path / 'found.json').read_text())['comparisons']
        assert comparison['title'].startswith(f'{work} of 4 photos')
        assert all(0 < times[0] for times in comparison['seconds'].values())


@pytest.mark.slow
def test_killed_chain_carries_on(parts, tmp_path):
    """SIGKILL at several moments; then the same command to the end."""
    command = [
        ROOT / 'tools/train.py', ROOT / 'configs/lpcam/deeplabv3_parts.py',
        '--cfg-options', *SHORT
    ]
    run(*command, '--work-dir', tmp_path / 'whole', PARTS_DATASET=parts)
    broken = tmp_path / 'broken'
    for moment in ('classifier/epoch_1.pth', 'labels/masks/train_00003.png',
                   'labels/stage.json'):
        process = start(*command, '--work-dir', broken, PARTS_DATASET=parts)
        while not (broken / moment).exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    run(*command, '--work-dir', broken, PARTS_DATASET=parts)

    def files(folder):
        return {
            path.relative_to(folder): path.read_bytes()
            for path in sorted(folder.rglob('*'))
            if path.suffix in ('.png', '.npz') or path.name == 'scores.json'
        }

    assert files(tmp_path / 'whole') == files(broken)
    metrics = [
        read_json(folder / 'segmentor/stage.json')['metrics']
        for folder in (tmp_path / 'whole', broken)
    ]
    for key in ('aAcc', 'mIoU', 'mAcc'):
        assert metrics[0][key] == metrics[1][key]
    last = run(*command, '--work-dir', broken, PARTS_DATASET=parts)
    assert 'nothing to do' in last


@pytest.mark.slow
def test_train_tool_of_mmseg_runs_the_chain(parts, tmp_path):
    tool = Path(mmseg.__file__).parent / '.mim' / 'tools' / 'train.py'
    if not tool.exists():
        pytest.skip('this MMSegmentation does not ship its tools')
    run(tool,
        ROOT / 'configs/lpcam/deeplabv3_parts.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *SHORT,
        PARTS_DATASET=parts)
    assert read_json(tmp_path / 'run/segmentor/stage.json')['finished']
