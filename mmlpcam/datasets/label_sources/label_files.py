"""Files and folders that labels are read from."""
import json
import unicodedata
from pathlib import Path
from typing import Any

from mmlpcam.utils.names import check_inside
from .image_finder import to_nfc


def existing_path(path: str | Path,
                  option: str,
                  *,
                  is_folder: bool = False) -> Path:
    """Return a path if it is there, else say what is missing.

    Args:
        path (str | Path): File, or folder.
        option (str): The source and its argument, for the error.
        is_folder (bool): Whether it must be a folder. Defaults to False.

    Returns:
        Path: The path.

    Raises:
        FileNotFoundError: If it is not there, or of the other kind.

    Example:
        >>> existing_path('tags.txt', 'MyLabels: tag_file')
        Traceback (most recent call last):
        FileNotFoundError: MyLabels: tag_file 'tags.txt' does not exist or is \
no file. Relative paths start at the current folder
    """
    path = Path(path)
    if not (path.is_dir() if is_folder else path.is_file()):
        raise FileNotFoundError(
            f'{option} {str(path)!r} does not exist or is no '
            f'{"folder" if is_folder else "file"}. Relative paths start at '
            'the current folder')
    return path


def label_file(folder: str | Path, image_id: str, suffix: str) -> Path:
    """Return the file of an image in a folder with one for each.

    Args:
        folder (str | Path): Folder of the label files.
        image_id (str): Image id, in any Unicode normal form.
        suffix (str): What follows the image id, such as '.xml'.

    Returns:
        Path: The file, in the normal form that its name has on disk; it
        need not exist.

    Raises:
        ValueError: If the id leads out of the folder.

    Example:
        >>> label_file('tags', 'cats/tom', '.txt').as_posix()
        'tags/cats/tom.txt'
    """
    paths = [
        check_inside(folder, name + suffix)
        for name in (image_id, to_nfc(image_id),
                     unicodedata.normalize('NFD', image_id))
    ]
    return next((path for path in paths if path.exists()), paths[0])


def read_label_json(path: str | Path) -> Any:
    """Read a JSON file of labels, and refuse what has two meanings.

    Args:
        path (str | Path): JSON file in UTF-8, 16 or 32.

    Returns:
        Any: Its content.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no JSON, has a key twice, or NaN. The message
            names the file.

    Example:
        >>> tags = read_label_json('tags.json')  # doctest: +SKIP
        >>> tags['photo1']  # doctest: +SKIP
        ['cat', 'dog']
    """
    try:
        # bytes: JSON says by itself which Unicode encoding it is in
        return json.loads(
            Path(path).read_bytes(),
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError(
            f'{path}: not a label file, it is nested too deeply') from error
    except ValueError as error:
        raise ValueError(f'{path}: not valid JSON: {error}') from error


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refusing keys that appear twice."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'the key {twice!r} appears twice')
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name} is no value that JSON knows')
