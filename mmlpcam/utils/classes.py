"""Names of classes, as data that nothing evaluates."""
import json
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def check_class_names(names: Sequence[Any], source: str) -> None:
    """Refuse names that configs or files cannot hold as they are.

    MMEngine replaces ``{{ ... }}`` wherever it stands in the text of a
    config, and writes configs as text again.

    Args:
        names (Sequence[Any]): Names of classes.
        source (str): Where they come from, for the message.

    Raises:
        ValueError: If one is no text or empty, holds ``{{``, ``}}`` or a
            control character, or two are equal.
    """
    seen = set()
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f'{source}: {name!r} is no name of a class')
        if '{{' in name or '}}' in name or any(
                unicodedata.category(letter) in ('Cc', 'Cs')
                for letter in name):
            raise ValueError(
                f'{source}: the class {name!r} holds {{{{, }}}} or a control '
                'character, which a config cannot hold: rename it')
        key = unicodedata.normalize('NFC', name)
        if key in seen:
            raise ValueError(f'{source}: the class {name!r} is there twice')
        seen.add(key)


def read_classes(path: str | os.PathLike) -> dict[str, Any]:
    """Read classes and their colours, for the ``metainfo`` of a dataset.

    A config takes them from a file, so that no tag ever becomes a part of
    the text that MMEngine evaluates.

    Args:
        path (str | os.PathLike): JSON file, an object with ``classes``, a
            list of names, the background first, and ``palette``, a list of
            ``[r, g, b]`` in [0, 255].

    Returns:
        dict[str, Any]: ``classes``, a tuple of str, and ``palette``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.

    Example:
        >>> metainfo = __import__('mmlpcam').read_classes(
        ...     '{{ fileDirname }}/classes.json')  # doctest: +SKIP
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}: not valid JSON: {error}') from error
    if not isinstance(content, dict) or content.keys() != {
            'classes', 'palette'
    }:
        raise ValueError(f"{path}: expected an object with 'classes' and "
                         "'palette'")
    classes, palette = content['classes'], content['palette']
    if not isinstance(classes, list) or not classes:
        raise ValueError(f"{path}: 'classes' must be a list of names")
    check_class_names(classes, str(path))
    if (not isinstance(palette, list) or len(palette) != len(classes)
            or not all(map(_is_color, palette))):
        raise ValueError(f"{path}: 'palette' must have a colour [r, g, b] for "
                         f'each of the {len(classes)} classes, of integers '
                         'from 0 to 255')
    return dict(classes=tuple(classes), palette=palette)


def _is_color(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(
        type(part) is int and 0 <= part < 256 for part in value)
