"""Whether a file on disk is whole, at the price of reading its end."""
import os
import zipfile
from pathlib import Path

_PNG_START = b'\x89PNG\r\n\x1a\n'
# the length, name and checksum of the empty last chunk
_PNG_END = b'\0\0\0\0IEND\xaeB\x60\x82'


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a file is there and not cut.

    Only the ends of a file are read: a damaged middle is not found.

    Args:
        path (str | os.PathLike): A ``.png``, or a zip archive, which ``.npz``
            and ``.pth`` are; of another file it is only known whether it is
            empty.

    Returns:
        bool: Whether it is.
    """
    path = Path(path)
    try:
        if path.suffix in ('.npz', '.pth'):
            return zipfile.is_zipfile(path)
        with path.open('rb') as file:
            if path.suffix != '.png':
                return bool(file.read(1))
            start = file.read(len(_PNG_START))
            file.seek(0, os.SEEK_END)
            file.seek(-min(len(_PNG_END), file.tell()), os.SEEK_END)
            return start == _PNG_START and file.read() == _PNG_END
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False
