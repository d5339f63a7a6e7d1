"""Files that are either whole or not there."""
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        OSError: If it cannot be written, with the name of the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix='.tmp-', suffix=path.suffix, dir=path.parent)
    os.close(handle)
    tmp = Path(name)
    try:
        yield tmp
        # mkstemp makes files private; give them what open() would
        umask = os.umask(0)
        os.umask(umask)
        tmp.chmod(0o666 & ~umask)
        tmp.replace(path)
    except OSError as error:
        if error.filename is not None:
            raise
        # a full disk, say: what is written to an open file has no name
        if error.errno is None:
            raise OSError(f'{path}: {error}') from error
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        tmp.unlink(missing_ok=True)


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


def check_writable(folder: str | os.PathLike) -> None:
    """Make a folder and prove that files can be written to it.

    Args:
        folder (str | os.PathLike): Folder to be written to later.

    Raises:
        PermissionError: If it cannot be made or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
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
            "runner_type='StagedRunner', or give the folder itself.")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        dict: Its content.

    Raises:
        ValueError: If it is no JSON file.
    """
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f'{path} is no valid JSON file ({error}): '
                         'remove it and run again') from error
