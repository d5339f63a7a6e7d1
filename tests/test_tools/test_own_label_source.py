"""A label source of a user, in the tools and in the project they make."""
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SOURCE = '''\
from pathlib import Path

from mmseg.registry import TASK_UTILS

from mmlpcam.datasets import ImageLabelSource, TagEncoder, check_all_labeled
from mmlpcam.utils import reading


@TASK_UTILS.register_module()
class SidecarLabels(ImageLabelSource):
    """Tags in a text file beside each photo, one a line."""

    def __init__(self, suffix='.txt'):
        self.suffix = suffix

    def load(self, images, classes):
        encoder = TagEncoder(classes)
        labels = {}
        for image_id, path in images.items():
            file = Path(path).with_suffix(self.suffix)
            if file.is_file():
                with reading(file, 'list of tags in UTF-8'):
                    tags = file.read_text(encoding='utf-8').splitlines()
                labels[image_id] = encoder.encode(tags, str(file))
        check_all_labeled(labels, images, 'the text files beside the photos',
                          f'Expected <photo>{self.suffix} for each')
        return labels
'''
TAGS = {f'{"trip/" if n % 2 else ""}p{n}': ['cat', 'dog'][:n % 3] for n in
        range(9)}  # yapf: disable
# What a training would load of the project, in a process that knows no more
# than its config.
LOAD = """\
import sys
from mmengine.config import Config
from mmseg.registry import DATASETS
for name in ('classifier', 'segmentor'):
    cfg = Config.fromfile(f'{sys.argv[1]}/{name}.py')
    assert cfg.custom_imports.imports == ['mmlpcam', 'own_labels']
    assert cfg.custom_imports.allow_failed_imports is False
classifier = Config.fromfile(f'{sys.argv[1]}/classifier.py')
dataset = DATASETS.build(
    dict(classifier.train_dataloader.dataset, _scope_='mmseg'))
print(dataset.source, dataset.label_counts.tolist())
"""


@pytest.fixture
def folder(tmp_path):
    """Photos with text files beside them, and a module elsewhere."""
    module = tmp_path / 'code' / 'own_labels.py'
    module.parent.mkdir()
    module.write_text(SOURCE)
    for name, tags in TAGS.items():
        path = tmp_path / 'photos' / f'{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(path)
        path.with_suffix('.txt').write_text('\n'.join(tags))
    return tmp_path


@pytest.fixture
def run(folder):
    """Run Python in a fresh process that can import the module."""

    def start(*args):
        done = subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=folder,
            capture_output=True,
            text=True,
            env=dict(
                os.environ,
                PYTHONPATH=f'{folder / "code"}:{TOOLS.parent}',
                PYTHONWARNINGS='ignore'))
        return done.returncode, done.stdout, done.stderr

    return start


OWN = ['--custom-imports', 'own_labels', '--source', 'SidecarLabels']


def test_labels_are_prepared(folder, run):
    args = [
        TOOLS / 'prepare_image_labels.py', *OWN, '--source-options',
        'suffix=.txt', '--classes', 'cat', 'dog', '--img-dir', 'photos',
        '--out', 'labels.json'
    ]
    status, _, err = run(*args)
    assert status == 0, err
    assert json.loads((folder / 'labels.json').read_text()) == TAGS
    (folder / 'photos/trip/p1.txt').write_text('cat\ncow')
    status, _, err = run(*args, '--overwrite')
    assert status == 1
    assert "error: photos/trip/p1.txt: unknown class 'cow'" in err


def test_help_lists_it(run):
    status, out, _ = run(TOOLS / 'new_project.py', *OWN, '--help')
    assert status == 0
    assert '\n  SidecarLabels [suffix=.txt]\n' in out
    assert '\n  VOCXMLLabels ann_dir=... [with_diff' in out


def test_project(folder, run):
    status, out, err = run(TOOLS / 'new_project.py', 'photos', 'project',
                           '--size', 'small', *OWN, '--classes', 'dog', 'cat')
    assert status == 0 and err == '', err
    rows = [line.replace('|', '').split() for line in out.splitlines()]
    assert [row[:2] + row[3:4] for row in rows
            if row[1:2] in (['1'], ['2'])] == [['dog', '1', '3'],
                                               ['cat', '2', '6']]
    assert (folder / 'project/train.txt').read_text().split() == sorted(TAGS)
    status, out, err = run('-c', LOAD, 'project')
    assert status == 0, err
    # a photo is kept back, to score the classifier by its tags
    assert out.splitlines()[-1] == "SidecarLabels(suffix='.txt') [2, 5]"


@pytest.fixture
def new_project(folder, monkeypatch, capsys):
    """Run new_project with a source of the package, in this process."""
    main = runpy.run_path(str(TOOLS / 'new_project.py'))['main']

    def start(*args):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, 'argv', ['new_project', *args])
        try:
            status = main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return start


def test_project_of_json(folder, new_project):
    (folder / 'tags.json').write_text(json.dumps(TAGS))
    args = ['photos', 'project', '--classes', 'cat', 'dog', '--source']
    status, err = new_project(*args, 'JSONLabels', '--source-options',
                              'json_file=tags.json')
    assert status == 0
    assert 'json_file=tags.json of --source-options starts at the' in err
    text = (folder / 'project/data.py').read_text()
    assert "dict(type='JSONLabels', json_file='tags.json')" in text
    for name in ('classifier', 'segmentor'):
        assert 'custom_imports' not in (folder /
                                        f'project/{name}.py').read_text()


@pytest.mark.parametrize('args, status, message', [
    (['photos', 'project', '--custom-imports', 'no_labels'], 2,
     "--custom-imports no_labels: No module named 'no_labels'. The folder"),
    (['photos', 'project'], 2, 'give either a table of tags or --source'),
    (['photos', 'tags.csv', 'project', '--source', 'FolderLabels'
      ], 2, 'give either a table of tags or --source'),
    (['photos', 'project', '--source', 'FolderLabels'
      ], 2, '--source needs --classes'),
    ([
        'photos', 'project', '--sep', ';', '--classes', 'cat', '--source',
        'FolderLabels'
    ], 2, 'give options of a source behind --source-options'),
    (['photos', 'project', '--classes', 'cat', '--source', 'FolderLabels'
      ], 1, 'have no entry in a class folder'),
    ([
        'photos', 'project', '--classes', 'cat', 'background', '--source',
        'FolderLabels'
    ], 1, "'background' is no class to tag photos with"),
    ([
        'photos', 'project', '--classes', 'cat', '--source', 'JSONLabels',
        '--source-options', 'json_file={{ fileDirname }}/a.json'
    ], 1, 'hold {{, which MMEngine replaces'),
])
def test_wrong_arguments(folder, new_project, args, status, message):
    found, err = new_project(*args)
    assert found == status and message in err
    assert not (folder / 'project').exists()


def test_options_between_the_folders(folder, new_project):
    (folder / 'tags.csv').write_text('\n'.join(f'{name},{";".join(tags)}'
                                               for name, tags in TAGS.items()))
    status, err = new_project('photos', '--size', 'small', 'tags.csv',
                              '--seed', '1', 'project')
    assert (status, err) == (0, '')
    assert (folder / 'project/segmentor.py').exists()
