"""What runs leave behind to go on from."""
import json
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmlpcam.engine import StagedRunner, last_checkpoint
from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.utils import read_json
from .core import Case, Room, fuzzed
from .labels import DAMAGED, parse_json
from .mutators import damage, damage_tree


def _damaged_json(room: Room, data: bytes) -> tuple[bytes, str]:
    """Damage the bytes of a JSON file, or what it says."""
    if room.rng.random() < .4:
        return damage(room.rng, data)
    tree, what = damage_tree(room.rng, json.loads(data))
    return json.dumps(tree).encode(), what


@fuzzed('json-files', 60, 4)
def make_json_file(room: Room) -> Case:
    """Any file of the package's own that is read back."""
    content = dict(a=[1, 2.5, None], b=dict(c='text', d=True))
    data, what = json.dumps(content).encode(), 'plain'
    if room.rng.random() < .9:
        data, what = damage(room.rng, data)
    path = room.write('file.json', data)
    says = parse_json(data, dict)
    return Case(lambda: read_json(path), ['file.json'],
                [] if says is DAMAGED else [says], what == 'plain', [what])


# --- manifest ----------------------------------------------------------------

SETTINGS = dict(model='0123456789abcdef', test_cfg=dict(bg_thr=.4), fp16=False)


def _writer(folder: Path) -> PseudoLabelWriter:
    writer = PseudoLabelWriter(str(folder))
    writer.dataset_meta = dict(
        classes=('background', 'cat'), palette=[[0, 0, 0], [9, 9, 9]])
    return writer


@fuzzed('manifest', 140, 8)
def make_manifest(room: Room) -> Case:
    folder = room.folder / 'labels'
    writer = _writer(folder)
    writer.open(SETTINGS)
    path = writer.manifest_file
    before = json.loads(path.read_bytes())
    data, what = path.read_bytes(), 'plain'
    if room.rng.random() < .85:
        data, what = _damaged_json(room, data)
    path.write_bytes(data)
    says = parse_json(data, dict)
    is_same = (
        isinstance(says, dict)
        and json.dumps(says.get('settings')) == json.dumps(before['settings']))

    def read():
        try:
            _writer(folder).open(SETTINGS)
        except Exception:
            # what was refused is left as it was
            return_as_it_was = path.read_bytes() == data
            if not return_as_it_was:
                raise AssertionError('the manifest was changed') from None
            raise
        return 'goes on'

    return Case(read, ['manifest.json', str(folder)],
                ['goes on'] if is_same else [], what == 'plain', [what])


# --- stage.json --------------------------------------------------------------


class _Toy(BaseModel):
    """Something to train for an iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, inputs: Any, data_samples: Any = None, **_) -> dict:
        return dict(loss=self.linear(torch.ones(1, 1)).mean())


def _toy_stage(folder: Path) -> Any:
    """The only stage of a chain, in `folder`."""
    cfg = Config(
        dict(
            work_dir=str(folder.parent),
            default_scope='mmengine',
            model=dict(type=_Toy),
            train_cfg=dict(by_epoch=False, max_iters=1),
            train_dataloader=dict(
                batch_size=1,
                num_workers=0,
                dataset=[0],
                sampler=dict(type='InfiniteSampler')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', interval=1, by_epoch=False)),
            log_level='ERROR'))
    return StagedRunner(cfg).stages[-1]


def _state(room: Room) -> dict[str, bytes]:
    """The folder of a finished stage, file by file."""
    if 'stage' not in room.shared:
        folder = room.folder / 'made/segmentor'
        stage = _toy_stage(folder)
        stage.run()
        assert stage.is_finished()
        room.shared['stage'] = {
            path.name: path.read_bytes()
            for path in folder.iterdir() if path.is_file()
        }
    return room.shared['stage']


def _restore(room: Room) -> Path:
    folder = room.folder / 'segmentor'
    for name, content in _state(room).items():
        room.write(f'segmentor/{name}', content)
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_1.pth'))
    return folder


@fuzzed('stage', 150, 8)
def make_stage(room: Room) -> Case:
    folder = _restore(room)
    path = folder / 'stage.json'
    before = json.loads(path.read_bytes())
    data, what = path.read_bytes(), 'plain'
    if room.rng.random() < .85:
        data, what = _damaged_json(room, data)
    path.write_bytes(data)
    says = parse_json(data, dict)
    result: list = []
    # a reader may compare more than the digest, but no less
    if (isinstance(says, dict) and says.get('digest') == before['digest']
            and type(says.get('finished')) is bool):
        result = [says['finished']]
    return Case(
        _toy_stage(folder).is_finished,
        ['stage.json', str(folder)], result, what == 'plain', [what])


@fuzzed('last-checkpoint', 90, 6)
def make_last_checkpoint(room: Room) -> Case:
    """It is found, or what is wrong is said; never is there none."""
    folder = _restore(room)
    path = folder / 'last_checkpoint'
    whole = str(folder / 'iter_1.pth')
    evil = room.outside / 'evil.pth'
    evil.write_bytes((folder / 'iter_1.pth').read_bytes())
    what = room.rng.choice(('plain', 'bytes', 'bytes', 'content', 'content',
                            'absent', 'folder', 'cut checkpoint'))
    content = whole.encode()
    if what == 'bytes':
        content, how = damage(room.rng, content)
        what = f'bytes {how}'
    elif what == 'content':
        content = room.rng.choice(
            (str(evil), '../../evil.pth', '', '\n', 'iter_9.pth', '.', '/',
             str(folder), '/dev/zero', 'stage.json', 'iter_1.pth',
             '/elsewhere/iter_1.pth', 'x' * 5000)).encode()
        what = f'content {content[:40]!r}'
    path.unlink()
    if what == 'folder':
        path.mkdir()
    elif what != 'absent':
        path.write_bytes(content)
    if what == 'cut checkpoint':
        data = (folder / 'iter_1.pth').read_bytes()
        (folder / 'iter_1.pth').write_bytes(data[:len(data) // 2])

    def read():
        found = last_checkpoint(folder)
        return None if found is None else str(Path(found).resolve())

    return Case(
        read, [str(folder), 'last_checkpoint', 'iter_1.pth'],
        [] if what == 'cut checkpoint' else [str(Path(whole).resolve())],
        what == 'plain', [what])
