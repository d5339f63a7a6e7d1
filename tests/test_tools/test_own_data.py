"""The tutorial on photos of one's own, from an installed wheel."""
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmlpcam.converters.parts import draw_parts_sample
from mmlpcam.engine import last_checkpoint
from mmlpcam.utils import read_json
from mmlpcam.utils.masks import read_index_mask

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / 'docs' / 'own_data.md'
TOOLS = ROOT / 'tools'


def commands():
    blocks = re.findall(r'^```bash\n(.*?)^```', TUTORIAL.read_text(),
                        re.DOTALL | re.MULTILINE)
    return ''.join(blocks).replace('\\\n', ' ').splitlines()


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def make_data(folder, num_photos, num_masks):
    """Write what step 2 of the tutorial lists; return the sizes by id."""
    rows, sizes = ['photo,tags'], {}
    suffixes = ('.jpg', '.PNG', '.webp', '.tif')
    for index in range(num_photos):
        name = f'{"garden/" if index % 3 else ""}IMG_{index:04d}'
        sample = draw_parts_sample(
            0, 'train', index, size=(48, 56 + index % 4))
        suffix = suffixes[index % len(suffixes)]
        write(folder / 'photos' / (name + suffix), sample.image)
        tags = {item.name for item in sample.objects}
        rows.append(f'{name}{suffix},{";".join(sorted(tags))}')
        if index < num_masks:
            write(folder / 'masks' / f'{name}.png', sample.mask)
        sizes[name] = sample.mask.shape
    (folder / 'tags.csv').write_text('\n'.join(rows))
    for index in range(2):
        image = draw_parts_sample(0, 'val', index, size=(48, 64)).image
        write(folder / 'new_photos' / f'new_{index}.jpg', image)
    return sizes


def run(installed, folder, command):
    python, *args = shlex.split(command)
    assert python == 'python'
    return installed.run(args, folder)


def test_tutorial_has_less_than_ten_commands():
    assert len(commands()) < 10
    assert sum('pip install' in command for command in commands()) == 3


def follow_tutorial(installed, folder, edit=lambda: None):
    """Do all that the tutorial says; return what each tool printed."""
    printed = {}
    for command in commands():
        if 'pip install' in command:
            continue
        tool = command.split()[2].rpartition('.')[-1]
        output = run(installed, folder, command)
        if tool == 'new_project' and tool not in printed:
            edit()
        printed[tool] = output
    return printed


def check_results(folder, sizes, printed):
    assert last_checkpoint(folder / 'runs/first/segmentor')
    made = folder / 'runs/first/labels/masks'
    assert {
        path.relative_to(made).with_suffix('').as_posix():
        read_index_mask(path).shape
        for path in made.rglob('*.png')
    } == sizes
    assert {
        path.name: read_index_mask(path).shape
        for path in (folder / 'predictions/masks').iterdir()
    } == dict.fromkeys(('new_0.png', 'new_1.png'), (48, 64))
    for name in ('new_0.jpg', 'new_1.jpg'):
        picture = Image.open(folder / 'predictions/pictures' / name)
        assert picture.size == (64, 48)
    # columns: image, CAM, LPCAM, three thresholds, mask, prediction
    panel = np.asarray(Image.open(folder / 'runs/first/panel.png'))
    assert panel.shape[1] == 8 * 192 + 7 * 4
    assert (folder / 'runs/first/report.html').stat().st_size > 10_000
    assert 'no scores' in printed['report']


def test_tutorial(installed, tmp_path):
    sizes = make_data(tmp_path, num_photos=9, num_masks=3)

    def shorten():
        """Lower `max_epochs` in segmentor.py, as step 4 suggests."""
        config = tmp_path / 'my_project' / 'segmentor.py'
        text = config.read_text()
        assert text.count('max_epochs=30') == 1
        config.write_text(text.replace('max_epochs=30', 'max_epochs=2'))

    printed = follow_tutorial(installed, tmp_path, shorten)
    check_results(tmp_path, sizes, printed)


@pytest.mark.parametrize('folder, config, message', [
    ('new_photos', 'segmentor.py', 'runs/first holds no last_checkpoint'),
    ('new_photos', 'data.py', 'data.py has no `test_pipeline`'),
    ('nothing', 'segmentor.py', "'nothing' does not"),
])
def test_predict_says_what_is_missing(tmp_path, monkeypatch, capsys, folder,
                                      config, message):
    make_data(tmp_path, num_photos=0, num_masks=0)
    (tmp_path / 'runs/first').mkdir(parents=True)
    (tmp_path / 'data.py').write_text('classes = ()')
    (tmp_path / 'segmentor.py').write_text('test_pipeline = []')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv',
                        ['predict', config, 'runs/first', folder, 'out'])
    predict = runpy.run_path(str(TOOLS / 'predict.py'))
    assert predict['main']() == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_tutorial_unabridged_and_with_masks(installed, tmp_path):
    sizes = make_data(tmp_path, num_photos=24, num_masks=10)
    printed = follow_tutorial(installed, tmp_path)
    check_results(tmp_path, sizes, printed)
    masked = 'python -m mmlpcam.tools.{} masked_project/segmentor.py'
    options = ' --work-dir runs/masked'
    run(installed, tmp_path, masked.format('train') + options)
    report = run(installed, tmp_path, masked.format('report') + options)
    assert 'LPCAM seed, training photos with masks' in report
    assert 'segmentor, validation split' in report
    metrics = read_json(tmp_path / 'runs/masked/segmentor/stage.json')
    assert 0 < metrics['metrics']['mIoU'] <= 100
    # columns: image, CAM, LPCAM, mask, prediction, ground truth
    panel = np.asarray(Image.open(tmp_path / 'runs/masked/panel.png'))
    assert panel.shape[1] == 6 * 192 + 5 * 4
