"""Watch what a reader does to the machine while it reads.

An audit hook sees every file that is opened for writing and every process
that is started, whatever library does it.
"""
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60
_STARTS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.spawn',
           'subprocess.Popen', 'pty.spawn')
# which of the arguments name what is changed
_CHANGES = {
    'os.mkdir': (0, ),
    'os.rename': (0, 1),
    'os.remove': (0, ),
    'os.rmdir': (0, ),
    'os.symlink': (1, ),
    'os.link': (1, ),
    'os.truncate': (0, ),
    'os.chmod': (0, ),
    'shutil.rmtree': (0, ),
    'shutil.move': (0, 1),
}
_watching: list['Watch'] = []


class Hangs(BaseException):
    """A reader takes longer than any file of this size warrants."""


class Watch:
    """What happened that no reader may do.

    Args:
        inside (Path): Folder that may be written to.
    """

    def __init__(self, inside: Path) -> None:
        self.inside = os.path.realpath(inside)
        self.started: list[str] = []
        self.written: list[str] = []

    def note(self, event: str, args: tuple) -> None:
        if event in _STARTS:
            self.started.append(f'{event}{args[:2]}')
        elif event == 'open' and _is_write(*args[1:3]):
            self._note_path(event, args[0])
        elif event in ('os.remove', 'os.rmdir') and args[-1] != -1:
            pass  # relative to a folder of shutil.rmtree, which is noted
        elif event in _CHANGES:
            for place in _CHANGES[event]:
                self._note_path(event, args[place])

    def _note_path(self, event: str, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a file that is open already
        path = os.path.realpath(os.fsdecode(path))
        if not (path.startswith(self.inside + os.sep) or path == self.inside
                or path.startswith('/dev/') or '__pycache__' in path):
            self.written.append(f'{event} {path}')


def _is_write(mode: str | None, flags: int | None) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in 'wax+')
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _audit(event: str, args: tuple) -> None:
    if _watching:
        _watching[-1].note(event, args)


def _too_long(*args) -> None:
    raise Hangs


@contextmanager
def watch(inside: Path) -> Iterator[Watch]:
    """Watch a block; temporary files go inside as well."""
    if not hasattr(sys, '_mmlpcam_fuzz'):
        sys.addaudithook(_audit)  # it stays for good
        sys._mmlpcam_fuzz = True
    result = Watch(inside)
    before, tempfile.tempdir = tempfile.tempdir, str(inside / 'tmp')
    (inside / 'tmp').mkdir(exist_ok=True)
    handler = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    _watching.append(result)
    try:
        yield result
    finally:
        _watching.pop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        tempfile.tempdir = before
