"""Many small files, made by several processes."""
import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.utils import track_iter_progress

Track = Callable[[tuple[Iterable, int]], Iterable]


def track_on_terminal(results: tuple[Iterable, int]) -> Iterable:
    """Show a progress bar where somebody can watch it.

    Args:
        results (tuple[Iterable, int]): What to go through, and its length.

    Returns:
        Iterable: The same items.
    """
    if not sys.stdout.isatty():
        return results[0]
    return track_iter_progress(results, file=sys.stdout)


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
        RuntimeError: A process died.
    """
    total = len(tasks)
    if total == 0:
        return []
    track = track or (lambda results: results[0])
    if nproc == 1:
        return list(track((map(function, tasks), total)))
    # A collection in a forked worker would write to, and so copy, all the
    # memory that it shares with this process.
    with ProcessPoolExecutor(nproc, initializer=gc.disable) as pool:
        results = pool.map(function, tasks, chunksize=16)
        try:
            return list(track((results, total)))
        except BrokenProcessPool as error:
            raise RuntimeError(
                'a worker process died, often for lack of memory: run again '
                'with a smaller --nproc; files that are finished are '
                'kept') from error


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
        RuntimeError: A process died.
    """
    # what a killed run was writing
    for folder in {path.parent for path in sources}:
        for leftover in folder.glob('.tmp-*'):
            leftover.unlink()
    todo = [(path, source) for path, source in sources.items()
            if overwrite or not path.exists()]
    parallel_map(partial(_write_one, write), todo, nproc=nproc, track=track)
    return len(todo)


def _write_one(write: Callable[[Path, Any], None],
               item: tuple[Path, Any]) -> None:
    write(*item)
