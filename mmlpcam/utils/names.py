"""Names: lists of them in messages, and names of files from a list."""
import re
from collections.abc import Sequence
from pathlib import Path


def listed(items: Sequence, limit: int = 5) -> str:
    """Quote the first items, and say how many follow.

    Args:
        items (Sequence): What to name in a message.
        limit (int): Number of items to quote. Defaults to 5.

    Returns:
        str: Such as ``'a', 'b' and 3 more``.
    """
    text = ', '.join(repr(item) for item in items[:limit])
    more = len(items) - limit
    return f'{text} and {more} more' if more > 0 else text


def check_inside(folder: str | Path, name: str, source: str = '') -> Path:
    """Join a folder and a name that was read from a file.

    A list or a table from elsewhere must not decide that files are read or
    written outside of the folder of images or masks. Nothing is looked for
    on disk, so a link inside the folder may lead to where its owner wants.

    Args:
        folder (str | Path): Folder that the file is to lie in.
        name (str): Path below it, with ``/`` between folders.
        source (str): Where the name stands, for the message.

    Returns:
        Path: The path of the file.

    Raises:
        ValueError: If the name is empty, or leads out of the folder: absolute,
            with a drive letter, a backslash, a NUL byte or ``..``.
    """
    parts = name.split('/')
    if (not name.strip() or name.startswith('/') or '..' in parts
            or re.match('[A-Za-z]:', name) or re.search(r'[\\\0]', name)):
        where = f'{source}: ' if source else ''
        raise ValueError(
            f'{where}{name!r} is no name inside of {str(folder)!r}: expected '
            'a path below that folder, with / between folders and without '
            '"..", backslash or drive letter. Correct the name')
    return Path(folder, name)
