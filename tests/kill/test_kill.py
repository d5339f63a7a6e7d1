"""SIGKILL at random moments; the same command again ends in the same files.

`make test-kill` does 100 of them over the kinds of chains, and 4 more
while a checkpoint is written. MMLPCAM_KILLS sets another number,
MMLPCAM_KILL_SEED draws other moments.
"""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kill.chain import CONFIGS, make_data

from mmlpcam.engine import last_checkpoint

pytestmark = pytest.mark.kill
CHAIN = Path(__file__).with_name('chain.py')
ROOT = CHAIN.parents[2]
KINDS = tuple(CONFIGS)
KILLS = int(os.environ.get('MMLPCAM_KILLS', 100))
SEED = int(os.environ.get('MMLPCAM_KILL_SEED', 0))
KILLS_A_RUN = 5


class Chain:
    """A kind of chain, run without a kill once."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        folder.mkdir()
        make_data(folder / 'data')
        start = time.monotonic()
        self.finish(folder / 'whole')
        self.seconds = time.monotonic() - start
        self.expected = contents(folder / 'whole')
        assert any(name.endswith('.png') for name in self.expected[0])

    def start(self, work_dir: Path, *fault: object) -> subprocess.Popen:
        with open(work_dir.with_suffix('.log'), 'ab') as log:
            return subprocess.Popen([
                sys.executable, CHAIN, self.kind, self.folder / 'data',
                work_dir, *map(str, fault)
            ],
                                    env=dict(
                                        os.environ,
                                        PYTHONPATH=str(ROOT),
                                        PYTHONWARNINGS='ignore',
                                        OMP_NUM_THREADS='1'),
                                    stdout=log,
                                    stderr=log,
                                    start_new_session=True)

    def finish(self, work_dir: Path) -> None:
        assert self.start(work_dir).wait() == 0, (
            work_dir.with_suffix('.log').read_text()[-4000:])

    def kill(self, work_dir: Path, seconds: float) -> bool:
        """Start, and kill all its processes after a while.

        Returns:
            bool: Whether it was still running.
        """
        process = self.start(work_dir)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        assert status == 0, work_dir.with_suffix('.log').read_text()[-4000:]
        return False


@pytest.fixture(scope='module')
def chains(tmp_path_factory):
    """The kinds, each run to its end when it is first needed."""
    made: dict[str, Chain] = {}

    def get(kind: str) -> Chain:
        if kind not in made:
            made[kind] = Chain(kind, tmp_path_factory.mktemp('kill') / kind)
        return made[kind]

    return get


def contents(work_dir: Path) -> tuple[dict, dict]:
    """What a chain leaves: labels byte by byte, weights by value."""
    files = {
        str(path.relative_to(work_dir)): path.read_bytes()
        for path in work_dir.rglob('*')
        if path.suffix in ('.png', '.npz') or path.name == 'scores.json'
    }
    weights = {}
    for folder in (work_dir, *work_dir.iterdir()):
        if folder.is_dir() and (folder / 'last_checkpoint').exists():
            checkpoint = torch.load(
                last_checkpoint(folder), weights_only=False)
            for key, value in checkpoint['state_dict'].items():
                weights[f'{folder.relative_to(work_dir)}.{key}'] = value
    assert weights
    return files, weights


def assert_same(found: tuple[dict, dict], expected: tuple[dict, dict]) -> None:
    for one, two in zip(found, expected):
        assert one.keys() == two.keys()
    for name, content in expected[0].items():
        assert found[0][name] == content, name
    for name, value in expected[1].items():
        assert torch.equal(found[1][name], value), name


def _runs() -> list:
    """Kind and number of kills of each run."""
    rounds = -(-KILLS // KILLS_A_RUN)
    return [
        pytest.param(
            KINDS[i % len(KINDS)],
            i,
            min(KILLS_A_RUN, KILLS - i * KILLS_A_RUN),
            id=f'{KINDS[i % len(KINDS)]}-{i:02d}') for i in range(rounds)
    ]


@pytest.mark.parametrize('kind, number, kills', _runs())
def test_random_kills(kind, number, kills, chains, tmp_path):
    chain = chains(kind)
    rng = random.Random(f'{SEED}/{kind}/{number}')
    broken = tmp_path / 'broken'
    done = 0
    while done < kills:
        # a start alone takes seconds, in which there is nothing to break
        if chain.kill(broken, rng.uniform(.25, 1) * chain.seconds):
            done += 1
        else:  # it ended first: from the beginning for the rest
            assert_same(contents(broken), chain.expected)
            broken = tmp_path / f'broken-{done}'
    chain.finish(broken)
    assert_same(contents(broken), chain.expected)


@pytest.mark.parametrize('kind, fault, number', [
    ('staged', 'write', 3),
    ('staged', 'replaced', 2),
    ('joint', 'replace', 3),
    ('joint', 'last', 2),
])
def test_killed_while_a_checkpoint_is_written(kind, fault, number, chains,
                                              tmp_path):
    chain = chains(kind)
    broken = tmp_path / 'broken'
    process = chain.start(broken, fault, number)
    assert process.wait() == -signal.SIGKILL
    chain.finish(broken)
    assert_same(contents(broken), chain.expected)
