"""Files that are either whole or not there."""
import errno
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, copyfile_from_local, get_file_backend

# What whole files begin and end with: of a PNG, the end is the length, name
# and checksum of the empty last chunk; of a tar archive, two empty blocks.
_ENDS = {
    '.png': (b'\x89PNG\r\n\x1a\n', b'\0\0\0\0IEND\xaeB\x60\x82'),
    '.tar': (b'', bytes(1024)),
}

SETTLED = 3e9
"""float: Nanoseconds in which a file may change again and keep its times."""


@contextmanager
def reading(path: str | os.PathLike,
            what: str,
            advice: str = 'fetch or write it again') -> Iterator[None]:
    """Let whatever goes wrong in the block name the file that it reads.

    Readers raise all kinds of errors about damaged files, and few of them
    name the file.

    Args:
        path (str | os.PathLike): The file that is read.
        what (str): What it should be, such as 'image' or 'JSON file'.
        advice (str): What to do about it, the end of the message. Defaults
            to 'fetch or write it again'.

    Raises:
        OSError: If the file is missing, a folder, or not to be opened; it is
            raised as it is, since it names the file.
        ValueError: If the block failed otherwise.

    Example:
        >>> with reading('a.json', 'JSON file'):  # doctest: +SKIP
        ...     content = json.loads(Path('a.json').read_text())
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        if str(path) in str(error) and type(error) is ValueError:
            raise  # a reader that is called by another one
        text = str(error) or type(error).__name__
        if isinstance(error, KeyError):
            text += ' is missing'
        raise ValueError(
            f'{path} is no valid {what} ({text}): {advice}') from error


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name that becomes ``path`` if the block succeeds.

    The temporary file lies in the same folder, so that the final rename is
    atomic; it keeps the suffix, by which writers choose a format. Several
    processes may write the same file: the last whole one wins.

    Args:
        path (str | os.PathLike): Final file name. Its folder is made.

    Yields:
        Path: Temporary file to write to.

    Raises:
        OSError: If it cannot be written, because the disk is full, say.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            prefix='.tmp-', suffix=path.suffix, dir=path.parent)
        os.close(handle)
        tmp = Path(name)
        yield tmp
        # mkstemp makes files private; give them what open() would
        umask = os.umask(0)
        os.umask(umask)
        tmp.chmod(0o666 & ~umask)
        tmp.replace(path)
    except OSError as error:
        if tmp is not None and error.filename not in (None, str(tmp)):
            raise  # about another file
        # a full disk has no name, and that of the temporary file says little
        raise type(error)(error.errno, error.strerror or str(error),
                          str(path)) from error
    finally:
        if tmp is not None:
            tmp.unlink(missing_ok=True)


@contextmanager
def full_disk_at(path: str | os.PathLike) -> Iterator[None]:
    """Let a full disk have a name, where the block writes without one.

    Args:
        path (str | os.PathLike): File or folder that the block writes to.

    Yields:
        None: All other errors of the block stay as they are.

    Raises:
        OSError: If the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC,
                                                             errno.EDQUOT):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def stored_path(path: str | os.PathLike,
                backend_args: dict[str, Any] | None = None) -> Iterator[Path]:
    """Yield a local file that is stored as ``path`` if the block succeeds.

    It appears whole or not at all: on a local disk see :func:`atomic_path`;
    elsewhere it is copied by MMEngine's file backend.

    Args:
        path (str | os.PathLike): Where it is to be stored.
        backend_args (dict, optional): The backend, as in
            :func:`mmengine.fileio.get_file_backend`. Defaults to None: that
            of the prefix of the path.

    Yields:
        Path: Temporary file to write to.

    Raises:
        OSError: If it cannot be written.
    """
    backend = get_file_backend(str(path), backend_args=backend_args)
    if isinstance(backend, LocalBackend):
        with atomic_path(path) as tmp:
            yield tmp
        return
    with tempfile.TemporaryDirectory(prefix='mmlpcam-') as folder:
        tmp = Path(folder) / Path(path).name
        yield tmp
        copyfile_from_local(tmp, str(path), backend_args=backend_args)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file atomically, and see it on the disk.

    Args:
        path (str | os.PathLike): File name. Its folder is made.
        content (bytes): What it is to hold.
    """
    with atomic_path(path) as tmp, open(tmp, 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write a JSON file atomically.

    Args:
        path (str | os.PathLike): File name.
        content (dict): JSON-serialisable content.
    """
    with atomic_path(path) as tmp:
        tmp.write_text(json.dumps(content, indent=1, sort_keys=True) + '\n')


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a file is there and not cut.

    Only the ends of a file are read: a damaged middle is not found.

    Args:
        path (str | os.PathLike): A ``.png``, a ``.tar``, or a zip archive,
            which ``.npz`` and ``.pth`` are; of another file it is only known
            whether it is empty.

    Returns:
        bool: Whether it is.
    """
    path = Path(path)
    try:
        if path.suffix in ('.npz', '.pth'):
            return zipfile.is_zipfile(path)
        with path.open('rb') as file:
            if path.suffix not in _ENDS:
                return bool(file.read(1))
            first, last = _ENDS[path.suffix]
            start = file.read(len(first))
            file.seek(0, os.SEEK_END)
            file.seek(-min(len(last), file.tell()), os.SEEK_END)
            return start == first and file.read() == last
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def check_writable(folder: str | os.PathLike) -> None:
    """Make a folder and prove that files can be written to it.

    Args:
        folder (str | os.PathLike): Folder to be written to later.

    Raises:
        PermissionError: If it cannot be made or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            pass
    except OSError as error:
        raise PermissionError(
            f'cannot write to {folder} ({error.strerror}): choose another '
            '--work-dir or change its permissions') from error


def check_no_stage(path: str | os.PathLike, name: str) -> None:
    """Refuse a folder that stands for that of a stage.

    Args:
        path (str | os.PathLike): Folder.
        name (str): What it is, for the message.

    Raises:
        ValueError: If it starts with ``stage://``.
    """
    if str(path).startswith('stage://'):
        raise ValueError(
            f'{name}={str(path)!r} names a stage and is resolved by '
            'StagedRunner. Run tools/train.py with a config that has '
            "runner_type='StagedRunner', or give the folder itself")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        dict: Its content.

    Raises:
        ValueError: If it is no JSON file.
    """
    with reading(path, 'JSON file', 'remove it and run again'):
        return json.loads(Path(path).read_text(encoding='utf-8'))
