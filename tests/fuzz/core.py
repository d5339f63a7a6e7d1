"""Cases, and the verdict on what a reader makes of them.

A *case* is one generated input with what is known of it by construction. It
is named by its format and number, which with the seed decide every byte: the
same id is the same input on any machine.

A reader may read a case right or refuse it in an error that names the file.
All else is a violation: it executes what is in the file, writes outside of
the folder, returns something else than the file says, refuses without naming
the file, dies of an error that no user can make sense of, or never ends.

What no reader could know does not count. A flipped bit may turn a class into
another, in a format without checksum: then `allowed` holds what the file now
says, found by an independent reader of the same bytes.
"""
import logging
import os
import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from .guard import Hangs, watch

SEED = int(os.environ.get('MMLPCAM_FUZZ_SEED', 0))
READ, REFUSED = 'read right', 'refused'
VIOLATIONS = ('executed code', 'wrote outside', 'accepted damage',
              'error without file name', 'unworded error',
              'refused a plain file', 'hangs')
# What an error in words may be; the rest is a traceback of somewhere inside.
WORDED = (ValueError, OSError, RuntimeError)
UNWORDED = (RecursionError, NotImplementedError)


@dataclass
class Case:
    """One input.

    Args:
        read (Callable): Reads it through a public interface.
        names (list[str]): An error must hold one of these.
        allowed (list): Results that are right; none: it must be refused. A
            callable says itself whether a result is right.
        must_read (bool): Whether refusing it is wrong too.
        story (list[str]): What was done to it.
        canaries (list[Path]): Files that are there once code was executed.
        warned (str): A text that makes up for an accepted file where it is
            in the log.
        tolerance (float): Largest difference of numbers.
    """
    read: Callable[[], Any]
    names: list[str]
    allowed: list[Any] = field(default_factory=list)
    must_read: bool = False
    story: list[str] = field(default_factory=list)
    canaries: list[Path] = field(default_factory=list)
    warned: str = ''
    tolerance: float = 0.


@dataclass
class Room:
    """The place of one case.

    Attributes:
        rng (random.Random): All that is drawn.
        outside (Path): Folder that must stay as it is.
        folder (Path): Folder inside it, for the files of the case.
        shared (dict): What the cases of a campaign share, made once.
    """
    rng: random.Random
    outside: Path
    folder: Path
    shared: dict

    @property
    def canary(self) -> Path:
        """A file that no reader makes."""
        return self.outside / 'canary'

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file of the case."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return path


@dataclass(frozen=True)
class Format:
    """A kind of input.

    Args:
        name (str): Its name.
        make (Callable): Makes the case of a room.
        count (int): Cases of a campaign.
        sample (int): How many of them run with every test.
    """
    name: str
    make: Callable[[Room], Case]
    count: int
    sample: int


FORMATS: dict[str, Format] = {}
TALLY: dict[str, Counter] = {}


def fuzzed(name: str, count: int, sample: int = 10) -> Callable:
    """Register a function that makes cases."""

    def register(make: Callable[[Room], Case]) -> Callable:
        FORMATS[name] = Format(name, make, count, sample)
        return make

    return register


def run_case(name: str, number: int, folder: Path,
             shared: dict) -> tuple[str, str]:
    """Make a case, read it and judge.

    Returns:
        tuple[str, str]: The verdict, and what there is to say about it.
    """
    room = Room(
        random.Random(f'{SEED}/{name}/{number}'), folder, folder / 'inside',
        shared)
    room.folder.mkdir(parents=True)
    case = FORMATS[name].make(room)
    before = _listing(folder)
    log = _Log()
    with watch(room.folder) as seen, log:
        try:
            result, error = case.read(), None
        except (Exception, SystemExit, Hangs) as caught:
            result, error = None, caught
    verdict, detail = _judge(case, result, error, log.text)
    executed = [path for path in case.canaries if path.exists()]
    written = seen.written + sorted(_listing(folder) ^ before)
    if executed or seen.started:
        verdict, detail = 'executed code', f'{executed or seen.started}'
    elif written:
        verdict, detail = 'wrote outside', f'{written[:3]}'
    TALLY.setdefault(name, Counter())[verdict] += 1
    story = ', '.join(case.story) or 'as it is'
    return verdict, f'{verdict}: {detail}\n  input: {story}'


def _listing(folder: Path) -> set[str]:
    """All files of a folder but those inside."""
    return {
        f'{path} {path.stat().st_size if path.is_file() else ""}'
        for path in folder.rglob('*')
        if folder / 'inside' not in (path, *path.parents)
    }


def _judge(case: Case, result: Any, error: BaseException | None,
           log: str) -> tuple[str, str]:
    if error is None:
        if any(
                is_right(result, expected, case.tolerance)
                for expected in case.allowed):
            return READ, ''
        if case.warned and case.warned in log:
            return READ, 'with a warning'
        right = _short(case.allowed) if case.allowed else 'an error'
        return 'accepted damage', f'got {_short(result)}, but right is {right}'
    text = f'{type(error).__name__}: {error}'
    if isinstance(error, Hangs):
        return 'hangs', ''
    if not isinstance(error, WORDED) or isinstance(error, UNWORDED):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return 'unworded error', (
            f'{_short(text)} at {Path(last.filename).name}:{last.lineno}')
    if not any(name in str(error) for name in case.names):
        return 'error without file name', (
            f'{_short(text)} (none of {case.names})')
    if case.must_read:
        return 'refused a plain file', _short(text)
    return REFUSED, _short(text)


def is_right(result: Any, expected: Any, tolerance: float) -> bool:
    """Whether a result is what was expected, exactly but for numbers."""
    if callable(expected):
        return bool(expected(result))
    if isinstance(expected, dict):
        return (isinstance(result, dict) and result.keys() == expected.keys()
                and all(
                    is_right(result[key], value, tolerance)
                    for key, value in expected.items()))
    if isinstance(expected, list | tuple):
        return (isinstance(result, list | tuple)
                and len(result) == len(expected) and all(
                    is_right(one, two, tolerance)
                    for one, two in zip(result, expected)))
    if isinstance(expected, np.ndarray):
        result = np.asarray(result)
        return (result.shape == expected.shape
                and result.dtype.kind not in 'OU' and np.allclose(
                    result.astype(float),
                    expected.astype(float),
                    rtol=0,
                    atol=tolerance,
                    equal_nan=True))
    return type(result) is type(expected) and result == expected


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = ' '.join(text.split())
    return text if len(text) <= 400 else f'{text[:250]} ... {text[-140:]}'


class _Log(logging.Handler):
    """Keep what is logged in a block."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return '\n'.join(self.lines)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> '_Log':
        self.logger = MMLogger.get_current_instance()
        self.logger.addHandler(self)
        return self

    def __exit__(self, *args) -> None:
        self.logger.removeHandler(self)


def summary() -> str:
    """Return the table of what was met, one line per format."""
    head = ('format', 'inputs', READ, REFUSED, *VIOLATIONS)
    lines = [head]
    total = Counter()
    for name, tally in sorted(TALLY.items()):
        total.update(tally)
        lines.append(
            (name, *map(str,
                        (tally.total(), *(tally[key] for key in head[2:])))))
    lines.append(
        ('all', *map(str, (total.total(), *(total[key] for key in head[2:])))))
    width = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return '\n'.join('  '.join(
        cell.ljust(w) if i == 0 else cell.rjust(w)
        for i, (cell, w) in enumerate(zip(line, width))) for line in lines)
