"""Shards are labelled by two processes, which are killed and started again."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmlpcam.converters.photo_shards import write_photo_shards
from mmlpcam.utils import write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/label_shards.py'
DYING_TOOL = Path(__file__).with_name('dying_tool.py')
NUM_PHOTOS = 11
SHARDS = 'shards/p-{000000..000005}.tar'  # three for each of two processes
CONFIG = """
model = {model!r}
test_pipeline = [dict(type='LoadPhoto'), dict(type='PackSegInputs')]
custom_imports = dict(imports=['mmlpcam'])
"""


@pytest.fixture
def folder(tiny, tmp_path):
    """Shards, config and an untrained checkpoint."""
    rng = np.random.default_rng(0)
    photos, tags = {}, {}
    for i in range(NUM_PHOTOS):
        name = f'{i:02d}'
        path = tmp_path / f'photos/{name}.png'
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (24 + i, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        photos[name], tags[name] = str(path), [tiny.classes[1 + i % 3]]
    write_photo_shards(
        photos, tags, tmp_path / 'shards', name='p', per_shard=2)
    (tmp_path / 'config.py').write_text(
        CONFIG.format(model=tiny.cfg(bg_thr=.5)))
    palette = [[40 * i, 0, 0] for i in range(len(tiny.classes))]
    write_checkpoint(
        dict(
            state_dict=tiny.build(with_bank=True).state_dict(),
            meta=dict(
                dataset_meta=dict(classes=tiny.classes, palette=palette))),
        tmp_path / 'model.pth')
    return tmp_path


def run(folder, *jobs):
    """Run tools on several ranks; return status and output of each rank."""
    for job in jobs:
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            job['port'] = sock.getsockname()[1]
    subprocess.run([
        sys.executable,
        Path(__file__).with_name('ranks.py'),
        json.dumps(jobs, default=str)
    ],
                   cwd=folder,
                   check=True,
                   env=dict(
                       os.environ,
                       PYTHONPATH=str(ROOT),
                       PYTHONWARNINGS='ignore',
                       OMP_NUM_THREADS='1'))
    return [[
        (status, (Path(job['folder']) / f'rank{rank}.txt').read_text())
        for rank, status in enumerate(
            json.loads((Path(job['folder']) / 'statuses.json').read_text()))
    ] for job in jobs]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_and_resumed_on_two_processes(folder):

    def label(name, out, *tool, num_ranks=2, shards=SHARDS):
        return dict(
            folder=folder / name,
            num_ranks=num_ranks,
            steps=[[*tool, 'config.py', 'model.pth', shards, out, '--maps']])

    whole = (folder / 'shards/p-000002.tar').read_bytes()
    (folder / 'shards/q-000002.tar').write_bytes(whole[:1000])
    (folder / 'some.txt').write_text('shards/p-000003.tar\n'
                                     'shards/q-000002.tar\n'
                                     'shards/p-{000000..000001}.tar\n')
    killed, again, one, bad = run(
        folder, label('killed', 'out', DYING_TOOL, TOOL),
        label('again', 'out', TOOL), label('one', 'whole', TOOL, num_ranks=1),
        label('bad', 'some', TOOL, shards='some.txt'))
    assert -signal.SIGKILL in [status for status, _ in killed]
    assert all(status == 0 for status, _ in again + one), again + one
    expected = content(folder / 'whole')
    assert len(expected) == 7  # with the manifest
    assert content(folder / 'out') == expected
    written, present, masks = map(
        int,
        re.search(
            r'(\d) shards of labels written to out, (\d) were there; '
            r'(\d+) masks', again[0][1]).groups())
    assert written + present == 6 and 1 <= present <= 4
    assert masks in (2 * written, 2 * written - 1)  # the last shard has one
    # a shard that is damaged costs its labels, and the status of all ranks
    assert [status for status, _ in bad] == [1, 1]
    assert 'shards/q-000002.tar is no valid shard' in bad[0][1]
    assert content(folder / 'some') == {
        name: expected[name]
        for name in ('p-000000.tar', 'p-000001.tar', 'p-000003.tar',
                     'manifest.json')
    }
