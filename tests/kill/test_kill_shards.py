"""SIGKILL while two processes label shards; then the same command again.

MMLPCAM_SHARD_PHOTOS, MMLPCAM_SHARDS and MMLPCAM_SHARD_KILLS set other numbers,
MMLPCAM_KILL_SEED draws other moments.
"""
import os
import random
import signal
import socket
import tarfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_tools.ranks import member

from mmlpcam.converters.photo_shards import write_photo_shards
from mmlpcam.utils import write_checkpoint

pytestmark = pytest.mark.kill
ROOT = Path(__file__).resolve().parents[2]
PHOTOS = int(os.environ.get('MMLPCAM_SHARD_PHOTOS', 20000))
SHARDS = int(os.environ.get('MMLPCAM_SHARDS', 200))
KILLS = int(os.environ.get('MMLPCAM_SHARD_KILLS', 20))
SEED = int(os.environ.get('MMLPCAM_KILL_SEED', 0))
CONFIG = """
model = {model!r}
test_pipeline = [dict(type='LoadPhoto'), dict(type='PackSegInputs')]
"""


def make_job(folder, tiny):
    """Write shards of noise, a config and an untrained checkpoint."""
    rng = np.random.default_rng(0)
    photos, tags = {}, {}
    for i in range(PHOTOS):
        name = f'{i:08d}'
        path = folder / f'photos/{i // 1000}/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3),
                                     dtype=np.uint8)).save(path)
        photos[name], tags[name] = str(path), [tiny.classes[1 + i % 3]]
    write_photo_shards(
        photos, tags, folder / 'shards', per_shard=-(-PHOTOS // SHARDS))
    (folder / 'config.py').write_text(
        CONFIG.format(model=tiny.cfg(bg_thr=.5, scales=(1., ))))
    palette = [[40 * i, 0, 0] for i in range(len(tiny.classes))]
    write_checkpoint(
        dict(
            state_dict=tiny.build(with_bank=True).state_dict(),
            meta=dict(
                dataset_meta=dict(classes=tiny.classes, palette=palette))),
        folder / 'model.pth')


class Run:
    """Two processes that label all shards, forked: imports take long."""

    def __init__(self, folder, out):
        with socket.socket() as sock:
            sock.bind(('127.0.0.1', 0))
            port = sock.getsockname()[1]
        pattern = f'{folder}/shards/photos-{{000000..{SHARDS - 1:06d}}}.tar'
        step = [
            str(each)
            for each in (ROOT / 'tools/label_shards.py', folder / 'config.py',
                         folder / 'model.pth', pattern, folder / out, '--maps',
                         '--batch-size', '16')
        ]
        self.ranks = [
            get_context('fork').Process(
                target=member, args=(rank, 2, port, folder, [step]))
            for rank in range(2)
        ]
        for rank in self.ranks:
            rank.start()

    def wait(self):
        for rank in self.ranks:
            rank.join()
        return [rank.exitcode for rank in self.ranks]


def shards(folder):
    return [*folder.glob('photos-*.tar')] if folder.exists() else []


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_random_kills(tiny, tmp_path):
    make_job(tmp_path, tiny)
    assert Run(tmp_path, 'whole').wait() == [0, 0]
    expected = contents(tmp_path / 'whole')
    assert len(expected) == SHARDS + 1
    rng = random.Random(SEED)
    out, kills, lost = tmp_path / 'broken', 0, 0
    # most kills are spread over the shards; the last ones leave a rest
    for target in sorted(rng.sample(range(SHARDS - 1), KILLS)):
        run = Run(tmp_path, 'broken')
        while len(shards(out)) < target:
            assert any(rank.is_alive() for rank in run.ranks)
            time.sleep(.005)
        time.sleep(rng.uniform(0, .2))
        # a machine, or one of its processes, after which the other one stops
        which = rng.choice([(0, 1), (0, ), (1, )])
        for rank in which:
            run.ranks[rank].kill()
        for rank in which:
            run.ranks[rank].join()
        for rank in run.ranks:
            rank.kill()
        kills += -signal.SIGKILL in [
            status for rank, status in enumerate(run.wait()) if rank in which
        ]
        lost += len([*out.glob('.tmp-*.tar')])
    assert Run(tmp_path, 'broken').wait() == [0, 0]
    assert contents(out) == expected
    labels = []
    for path in shards(out):
        with tarfile.open(path) as tar:
            labels += tar.getnames()
    assert sorted(labels) == sorted(f'{i:08d}.{suffix}' for i in range(PHOTOS)
                                    for suffix in ('png', 'npz'))
    print(f'{kills} kills, {lost} shards begun and lost')
    assert kills == KILLS
