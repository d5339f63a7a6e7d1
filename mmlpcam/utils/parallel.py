"""Many small files, made by several processes."""
import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any, cast

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress

Track = Callable[[tuple[Iterable, int]], Iterable]
SECONDS_BETWEEN_LINES = 60


def add_parallel_args(parser: argparse.ArgumentParser) -> None:
    """Add what all tools take that write many files.

    Args:
        parser (argparse.ArgumentParser): Gets ``--nproc`` and
            ``--overwrite``.
    """
    parser.add_argument(
        '--nproc',
        type=_positive,
        default=os.cpu_count() or 1,
        help='number of processes (default: one per core, here %(default)s)')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='make files anew that are there already')


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(
            f'must be at least 1, but got {number}')
    return number


def track_on_terminal(results: tuple[Iterable, int],
                      title: str = 'progress') -> Iterable:
    """Show a progress bar on a terminal, and elsewhere a line now and then.

    Args:
        results (tuple[Iterable, int]): What to go through, and its length.
        title (str): What is done, for the lines. Defaults to 'progress'.

    Returns:
        Iterable: The same items; of other processes than the first, without
        a word.
    """
    if not is_main_process():
        return results[0]
    if not sys.stdout.isatty():
        return _log_progress(*results, title)
    return track_iter_progress(results, file=sys.stdout)


def _log_progress(results: Iterable, total: int, title: str) -> Iterator:
    log = LineNowAndThen()
    for number, result in enumerate(results, 1):
        yield result
        log(f'{title}: {number} of {total}')


class LineNowAndThen:
    """Logs what is done, at most once a minute and by the first process."""

    def __init__(self) -> None:
        self._shown = time.monotonic()

    def __call__(self, text: str) -> None:
        """Log a line, unless the last one, or the start, is too recent.

        Args:
            text (str): The line.
        """
        if time.monotonic() - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            if is_main_process():
                print_log(text, logger='current')


def parallel_map(function: Callable[[Any], Any],
                 tasks: Sequence,
                 *,
                 nproc: int = 1,
                 track: Track | None = None) -> list:
    """Call a function on each task, in several processes.

    Args:
        function (Callable): Takes a task; to be found by its name in a
            module, as everything that processes send to each other.
        tasks (Sequence): The tasks.
        nproc (int): Number of processes; 1 works in this one. Defaults to 1.
        track (Callable, optional): Wraps the pair of results and their
            number, such as :func:`track_on_terminal`. Defaults to None.

    Returns:
        list: The results in the order of the tasks.

    Raises:
        RuntimeError: If a process died.
    """
    total = len(tasks)
    if total == 0:
        return []
    track = track or (lambda results: results[0])
    if nproc == 1:
        return list(track((map(function, tasks), total)))
    with worker_pool(nproc) as pool:
        results = pool.map(function, tasks, chunksize=16)
        with explained_death():
            return list(track((results, total)))


def worker_pool(num_workers: int) -> ProcessPoolExecutor:
    """Start processes that end with this one, however it ends.

    They are forked where that is possible, which shares what is imported;
    they must then do without what threads of this process hold, such as
    PyTorch's on the CPU.

    Args:
        num_workers (int): Number of processes.

    Returns:
        ProcessPoolExecutor: The pool.
    """
    method = 'fork' if 'fork' in get_all_start_methods() else 'spawn'
    return ProcessPoolExecutor(
        num_workers, mp_context=get_context(method), initializer=_start_worker)


@contextmanager
def explained_death() -> Iterator[None]:
    """Say what to do where a worker dies.

    Raises:
        RuntimeError: If a process died.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise RuntimeError(
            'a worker process died, often for lack of memory: run again with '
            'fewer of them (--nproc, model.num_workers); files that are '
            'finished are kept') from error


def _start_worker() -> None:
    # A collection in a forked worker would write to, and so copy, all the
    # memory that it shares with its parent.
    gc.disable()
    # Else workers wait for ever for the next task if the parent is killed.
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    cast(BaseProcess, parent_process()).join()
    os._exit(1)


def write_missing(write: Callable[[Path, Any], None],
                  sources: dict[Path, Any],
                  *,
                  overwrite: bool = False,
                  nproc: int = 1,
                  track: Track | None = None) -> int:
    """Write those files of one folder that are not there yet.

    Args:
        write (Callable): Takes a file name and its source, and writes the
            file whole or not at all.
        sources (dict[Path, Any]): What each file is made from.
        overwrite (bool): Whether to write files that are there already anew.
            Defaults to False.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): See :func:`parallel_map`.

    Returns:
        int: Number of files written.

    Raises:
        RuntimeError: If a process died.
    """
    # what a killed run was writing
    for folder in {path.parent for path in sources}:
        for leftover in folder.glob('.tmp-*'):
            leftover.unlink()
    todo = [(path, source) for path, source in sources.items()
            if overwrite or not path.exists()]
    parallel_map(partial(_write_one, write), todo, nproc=nproc, track=track)
    return len(todo)


def _write_one(write: Callable[[Path, Any], None], item: tuple[Path,
                                                               Any]) -> None:
    write(*item)
