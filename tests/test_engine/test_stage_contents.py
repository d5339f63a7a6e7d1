"""A stage is what went into it, and counts its results."""
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmlpcam.engine import StagedRunner, last_checkpoint
from mmlpcam.utils import read_checkpoint, read_json, write_checkpoint

STAGES = ['classifier', 'labels', 'seed', 'segmentor']


@pytest.fixture(scope='module')
def once(tmp_path_factory):
    return tmp_path_factory.mktemp('once') / 'run'


class Chain:
    """A finished chain, moved together with its data."""

    def __init__(self, cfg, data, work_dir):
        self.cfg, self.data, self.work_dir = cfg, data, work_dir
        self.settings = {}

    def runner(self):
        cfg = self.cfg.copy()
        cfg.work_dir = str(self.work_dir)
        cfg.merge_from_dict(self.settings)
        return StagedRunner(cfg)

    def finished(self):
        return [stage.is_finished() for stage in self.runner().stages]

    def refusals(self):
        """Message by stage."""
        found = {}
        for stage in self.runner().stages:
            try:
                stage.is_finished()
            except (RuntimeError, ValueError) as error:
                found[stage.name] = str(error)
        return found

    def follow(self, message):
        """Remove what a message says; return the names."""
        folders = re.search(r'or remove (.*) to run .* anew',
                            message)[1].split(' and ')
        for folder in folders:
            shutil.rmtree(folder)
        return [Path(folder).name for folder in folders]

    def interrupt(self, name):
        self.change_state(name, finished=False)

    def change_state(self, name, **values):
        file = self.work_dir / name / 'stage.json'
        file.write_text(json.dumps({**read_json(file), **values}))


@pytest.fixture
def chain(tiny_chain, parts, once, tmp_path, monkeypatch):
    if not once.exists():
        cfg = tiny_chain.copy()
        cfg.work_dir = str(once)
        assert StagedRunner(cfg).train() is not None
    shutil.copytree(once, tmp_path / 'run')
    shutil.copytree(parts, tmp_path / 'parts')
    monkeypatch.setenv('PARTS_DATASET', str(tmp_path / 'parts'))
    moved = Config.fromfile(tiny_chain.filename)
    for key in ('model', 'train_cfg', 'param_scheduler', 'stages'):
        moved[key] = tiny_chain[key]
    return Chain(moved, tmp_path / 'parts', tmp_path / 'run')


def test_moved_and_with_other_workers(chain):
    for key in ('train_dataloader', 'val_dataloader',
                'stages.classifier.train_dataloader',
                'stages.labels.label_dataloader'):
        chain.settings[f'{key}.num_workers'] = 1
        chain.settings[f'{key}.persistent_workers'] = True
    assert chain.finished() == [True] * 4
    assert chain.runner().train() is None


def test_other_form_of_the_same_data(chain):
    """The layout of an annotation does not count."""
    for path in (chain.data / 'Annotations').glob('*.xml'):
        path.write_text(path.read_text().replace('\n', '\n\n'))
    assert chain.finished() == [True] * 4


def drop_line(data):
    path = data / 'ImageSets/Segmentation/train.txt'
    path.write_text(''.join(path.read_text().splitlines(True)[1:]))


def swap_lines(data):
    path = data / 'ImageSets/Segmentation/train.txt'
    lines = path.read_text().split()
    path.write_text('\n'.join(lines[::-1]) + '\n')


def other_tag(data):
    path = data / 'Annotations/train_00003.xml'
    text = path.read_text()
    names = re.findall('<name>(.*?)</name>', text)
    other = next(
        name for name in ('beacon', 'buoy', 'kite', 'rover')
        if name not in names)
    path.write_text(
        text.replace(f'<name>{names[0]}</name>', f'<name>{other}</name>'))


def other_photo(data):
    path = next((data / 'JPEGImages').glob('train_00003.*'))
    with Image.open(path) as image:
        pixels = np.array(image)
    Image.fromarray(255 - pixels).save(path)


def other_mask(name):

    def change(data):
        path = data / f'SegmentationClass/{name}.png'
        with Image.open(path) as image:
            changed = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        changed.save(path)

    return change


@pytest.mark.parametrize('change, first, message', [
    (drop_line, 'classifier', r'train\.txt.*1 images are gone: .train_00000'),
    (swap_lines, 'classifier', 'images come in another order'),
    (other_tag, 'classifier', 'tags of 1 images differ: .train_00003'),
    (other_photo, 'classifier', 'photos of 1 images differ: .train_00003'),
    (other_mask('train_00003'), 'seed', 'masks of 1 images .*train_00003'),
    (other_mask('val_00001'), 'segmentor', 'masks of 1 images .*val_00001'),
])
@pytest.mark.parametrize(
    'interrupted', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_changed_data_are_refused(chain, change, first, message, interrupted):
    if interrupted:
        chain.interrupt(first)
    change(chain.data)
    before = {p: p.read_bytes() for p in chain.work_dir.rglob('*.png')}
    with pytest.raises(
            RuntimeError, match=f"'{first}'.*other data.*{message}"):
        chain.runner().train()
    assert {p: p.read_bytes() for p in before} == before
    # the advice is enough
    rounds = 0
    while refused := chain.refusals():
        rounds += 1
        assert chain.follow(next(iter(refused.values())))
    assert rounds == 1
    assert False in chain.finished()


def test_parent_that_is_gone(chain):
    shutil.rmtree(chain.work_dir / 'classifier')
    refused = chain.refusals()
    assert list(refused) == ['labels', 'seed', 'segmentor']
    assert "run of stage 'classifier' that is gone" in refused['labels']
    with pytest.raises(RuntimeError, match="'labels'"):
        chain.runner().train()
    assert not (chain.work_dir / 'classifier').exists()
    assert chain.follow(refused['labels']) == ['labels', 'seed', 'segmentor']
    assert chain.finished() == [False] * 4


def test_parent_of_another_run(chain):
    """It has the same settings and data, but other weights."""
    folder = chain.work_dir / 'classifier'
    checkpoint = folder / 'epoch_2.pth'
    shutil.copy(folder / '../segmentor/epoch_2.pth', checkpoint)
    chain.interrupt('classifier')
    chain.change_state('classifier', finished=True, outputs={})
    refused = chain.refusals()
    assert list(refused) == ['labels', 'seed', 'segmentor']
    assert 'load_from' in refused['labels']
    assert chain.follow(refused['labels']) == ['labels', 'seed', 'segmentor']


@pytest.mark.parametrize('left', [None, 0, 1000])
def test_checkpoint_of_a_finished_stage_is_lost(chain, left):
    path = chain.work_dir / 'classifier/epoch_2.pth'
    content = path.read_bytes()
    path.unlink()
    if left is not None:
        path.write_bytes(content[:left])
    with pytest.raises(RuntimeError, match=r'epoch_2\.pth is missing or not'):
        chain.runner().train()
    refused = chain.refusals()
    assert chain.follow(refused['classifier']) == STAGES
    assert chain.finished() == [False] * 4


def test_no_stage_starts_from_an_older_checkpoint(chain):
    """The newest whole one is good enough for a training to go on from."""
    folder = chain.work_dir / 'classifier'
    newest = folder / 'epoch_2.pth'
    older = read_checkpoint(newest)
    older['meta'].update(epoch=1, iter=older['meta']['iter'] // 2)
    write_checkpoint(older, folder / 'epoch_1.pth')
    newest.write_bytes(newest.read_bytes()[:1000])
    assert last_checkpoint(folder) == str(folder / 'epoch_1.pth')
    for name in STAGES[1:]:
        shutil.rmtree(chain.work_dir / name)
    with pytest.raises(RuntimeError, match=r'epoch_2\.pth is missing or not'):
        chain.runner().train()
    assert not any((chain.work_dir / name).exists() for name in STAGES[1:])
    # an interrupted training does go on, and the others follow
    chain.interrupt('classifier')
    assert chain.finished() == [False] * 4
    chain.runner().train()
    assert last_checkpoint(folder) == str(newest)
    assert chain.finished() == [True] * 4


LABEL_FILES = ('masks/{}.png', 'maps/{}.npz', 'extra_maps/cam/{}.npz')


@pytest.mark.parametrize('name, left', [
    *zip(LABEL_FILES,
         (None, 0, 50)), *(pytest.param(name, left, marks=pytest.mark.slow)
                           for name, others in zip(LABEL_FILES, ((0, 50),
                                                                 (None, 50),
                                                                 (None, 0)))
                           for left in others)
])
def test_lost_file_of_a_label_is_made_again(chain, name, left):
    path = chain.work_dir / 'labels' / name.format('train_00003')
    content = path.read_bytes()
    path.unlink()
    if left is not None:
        path.write_bytes(content[:left])
    assert chain.finished() == [True, False, False, False]
    assert chain.runner().train() is None
    assert path.read_bytes() == content
    assert chain.finished() == [True] * 4


def test_lost_scores_are_made_again(chain):
    path = chain.work_dir / 'seed/scores.json'
    content = read_json(path)
    path.unlink()
    assert chain.finished() == [True, True, False, True]
    assert chain.runner().train() is None
    assert read_json(path) == content


def test_masks_without_a_state(chain):
    (chain.work_dir / 'labels/stage.json').unlink()
    message = chain.refusals()['labels']
    assert 'labels holds results (manifest.json)' in message
    assert chain.follow(message) == ['labels', 'seed', 'segmentor']


@pytest.mark.parametrize('content', [
    '{}', '[]', '5', 'null', '"text"', '{"finished": true, "digest": "x"}',
    '{"name": "seed", "finished": "yes", "digest": "", "settings": {}, '
    '"inputs": {}, "outputs": {}, "metrics": {}}'
])
@pytest.mark.parametrize('name', ['classifier', 'segmentor'])
def test_state_of_another_shape(chain, name, content):
    file = chain.work_dir / name / 'stage.json'
    file.write_text(content)
    with pytest.raises(ValueError, match=f'{file} is not as this version'):
        chain.runner().train()
    assert file.read_text() == content


def test_details_are_only_for_the_message(chain):
    (chain.work_dir / 'classifier/inputs.json').write_text('[')
    (chain.work_dir / '.contents.json').write_text('[]')
    assert chain.finished() == [True] * 4
    other_tag(chain.data)
    assert 'it differs' in chain.refusals()['classifier']


def test_weights_to_start_from(chain, tmp_path):
    """By content: another name is the same, another file is not."""
    source = chain.work_dir / 'segmentor/epoch_2.pth'
    one = tmp_path / 'one.pth'
    shutil.copy(source, one)
    chain.settings['stages.classifier.load_from'] = str(one)
    assert 'load_from' in chain.refusals()['classifier']
    stage = chain.runner().stages[0]
    stage._start()
    one.rename(tmp_path / 'two.pth')
    chain.settings['stages.classifier.load_from'] = str(tmp_path / 'two.pth')
    assert 'classifier' not in chain.refusals()
    (tmp_path / 'two.pth').write_bytes(b'other')
    assert 'load_from' in chain.refusals()['classifier']
