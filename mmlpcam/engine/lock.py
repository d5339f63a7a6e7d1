"""One run at a time in a work dir."""
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType

from mmengine.logging import print_log

from mmlpcam.utils import (check_writable, full_disk_at, on_main_process,
                           user_errors)

LOCK_NAME = '.run.lock'
"""str: Name of the lock in a work dir."""

_BEAT = 20.  # seconds
# A machine that hangs for shorter keeps its lock.
_STALE_AFTER = 300.


@contextmanager
def run_lock(work_dir: str | os.PathLike) -> Iterator[None]:
    """Keep other runs out of a work dir while the block runs.

    All processes of a launcher share one lock, which the main one takes. The
    lock is a file that says who holds it. It is removed at the end, after an
    exception, and on SIGTERM. One that a killed process has left is taken
    over: at once on the same machine, where processes can be looked up; after
    five minutes without a sign of life on another one that shares the file
    system. Signs of life are the times of the file, by the clock of the file
    system.

    Args:
        work_dir (str | os.PathLike): Folder. It is made.

    Raises:
        RuntimeError: If another run holds the lock.
        PermissionError: If the folder cannot be written to.
    """
    lock = _Lock(Path(work_dir) / LOCK_NAME)
    with user_errors():
        on_main_process(lock.acquire)
    try:
        yield
    finally:
        lock.release()


class _Lock:

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mine: dict | None = None
        self._end = threading.Event()
        self._handles_sigterm = False

    def acquire(self) -> None:
        """Take the lock, or say who holds it."""
        check_writable(self.path.parent)
        mine = dict(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            process_start=_process_start(os.getpid()),
            since=datetime.now().isoformat(' ', 'seconds'),
            command=' '.join(sys.argv))
        while not self._create(mine):
            self._remove_stale()
        self._mine = mine
        threading.Thread(target=self._beat, daemon=True).start()
        self._release_on_sigterm()

    def release(self) -> None:
        """Remove the lock, if it is that of this process."""
        # a forked loader process has a copy of this object
        if self._mine is None or self._mine['pid'] != os.getpid():
            return
        self._end.set()
        if _read(self.path) == self._mine:
            self.path.unlink(missing_ok=True)
        self._mine = None
        if self._handles_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _create(self, content: dict) -> bool:
        """Write the file unless there is one, in one step."""
        handle, name = tempfile.mkstemp(
            prefix='.tmp-lock-', dir=self.path.parent)
        try:
            with full_disk_at(self.path), os.fdopen(handle, 'w') as file:
                json.dump(content, file)
            try:
                os.link(name, self.path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                return self._create_exclusively(content)
            return True
        finally:
            os.unlink(name)

    def _create_exclusively(self, content: dict) -> bool:
        try:
            file = self.path.open('x')
        except FileExistsError:
            return False
        try:
            with full_disk_at(self.path), file:
                json.dump(content, file)
        except OSError:  # half a lock would keep all runs out
            self.path.unlink()
            raise
        return True

    def _remove_stale(self) -> None:
        """Make room where the holder is dead.

        Raises:
            RuntimeError: If it lives, as far as can be told.
        """
        try:
            age = _now(self.path.parent) - self.path.stat().st_mtime
        except FileNotFoundError:
            return  # it has just been released
        found = _read(self.path)
        if not _is_stale(found, age):
            raise RuntimeError(self._in_words(found, age))
        # It may be another's by now, who was quicker to take it over: look at
        # what was moved away.
        aside = self.path.with_name(f'.tmp-lock-{uuid.uuid4().hex}')
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return
        try:
            moved = _read(aside)
            if moved != found:
                try:
                    os.link(aside, self.path)
                except OSError:
                    os.rename(aside, self.path)
                raise RuntimeError(self._in_words(moved, 0.))
        finally:
            aside.unlink(missing_ok=True)
        print_log(
            f'{self.path} was left by {_holder(found)}, which does not run '
            'any more: taken over',
            logger='current',
            level=logging.WARNING)

    def _in_words(self, found: dict | None, age: float) -> str:
        text = (f'{self.path.parent} is in use by another run, '
                f'{_holder(found)}. Wait until it has ended or stop it, or '
                'choose another --work-dir')
        if found is None or found['machine'] != _machine():
            text += (f'. If it does not run any more, remove {self.path}, or '
                     f'wait: without a sign of life for {_STALE_AFTER:.0f} s '
                     'it is taken over (the last one was '
                     f'{max(age, 0):.0f} s ago)')
        return text

    def _beat(self) -> None:
        """Give signs of life."""
        while not self._end.wait(_BEAT):
            try:
                os.utime(self.path)
            except OSError:
                pass  # the file system may be back at the next one

    def _release_on_sigterm(self) -> None:
        """Schedulers end a run so, and start it on another machine."""
        if (threading.current_thread() is not threading.main_thread()
                or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL):
            return

        def end(signum: int, frame: FrameType | None) -> None:
            self.release()
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

        signal.signal(signal.SIGTERM, end)
        self._handles_sigterm = True


def _read(path: Path) -> dict | None:
    """Return what a lock says; None where that cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    keys = ('token', 'host', 'machine', 'pid', 'process_start', 'since',
            'command')
    if not isinstance(content, dict) or any(key not in content
                                            for key in keys):
        return None
    return content


def _is_stale(found: dict | None, age: float) -> bool:
    if found is not None and found['machine'] == _machine():
        return (type(found['pid']) is not int
                or _process_start(found['pid']) != found['process_start'])
    return age > _STALE_AFTER


def _holder(found: dict | None) -> str:
    if found is None:
        return 'whose lock cannot be read'
    return (f'process {found["pid"]} on {found["host"]} since '
            f'{found["since"]} ({found["command"]})')


def _machine() -> str:
    """Name all that a process number must be seen from to mean the same."""
    parts = [socket.gethostname()]
    try:
        # containers may share a host name, and a machine may start anew
        parts.append(os.readlink('/proc/self/ns/pid'))
        parts.append(
            Path('/proc/sys/kernel/random/boot_id').read_text().strip())
    except OSError:
        pass  # not Linux
    return ' '.join(parts)


def _process_start(pid: int) -> str | None:
    """Tell processes apart that have had one number; None: it is dead."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        if Path('/proc/self/stat').exists():
            return None
    except OSError:
        pass
    else:
        state, *fields = stat.rpartition(')')[2].split()
        return None if state in 'ZX' else fields[18]  # ticks since the boot
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        pass  # it is another user's
    return 'unknown'


def _now(folder: Path) -> float:
    """Return the time by the clock of a file system."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix='.tmp-') as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()
