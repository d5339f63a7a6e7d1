"""What the label sources share."""
import difflib
import json
import posixpath
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmlpcam.utils.names import check_inside, listed

Labels = dict[str, tuple[int, ...]]
PHOTO_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
"""tuple[str, ...]: What photos end in, in any case."""
# a table may come from where photos had another format
_KNOWN_SUFFIXES = (*PHOTO_SUFFIXES, '.gif', '.heic', '.jfif', '.jp2', '.pgm',
                   '.ppm')


class ImageLabelSource(ABC):
    """Base class of the label sources.

    Subclasses are registered in ``mmseg.registry.TASK_UTILS`` and built from
    a config, ``dict(type='VOCXMLLabels', ann_dir='...')``.
    """

    @abstractmethod
    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """Read the labels of the images asked for.

        Args:
            image_ids (list[str]): Unique image ids.
            classes (tuple[str, ...]): Foreground class names, without the
                background.

        Returns:
            dict[str, tuple[int, ...]]: For every image id the sorted, unique
            class indices in [0, len(classes)). Empty where the source says
            that the image shows no class.

        Raises:
            FileNotFoundError: A label file or folder does not exist.
            ValueError: The source knows nothing about an image, or holds a
                class that is not in ``classes``.
        """

    def __repr__(self) -> str:
        options = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'{type(self).__name__}({options})'


def composed(text: str) -> str:
    """Return a text in the one normal form that names are compared in.

    macOS decomposes the names of files, spreadsheets compose what they write.
    """
    return unicodedata.normalize('NFC', text)


def cut_suffix(name: str) -> str:
    """Cut the suffix of an image off, and no other: ``v1.5`` is a name."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in _KNOWN_SUFFIXES else name


class ImageIndex:
    """Find the images that a label file names.

    Args:
        image_ids (Sequence[str]): All image ids.

    Raises:
        ValueError: Two ids differ in their Unicode normal form alone.
    """

    def __init__(self, image_ids: Sequence[str]) -> None:
        self.image_ids = list(image_ids)
        self._ids: dict[str, str] = {}
        for image_id in image_ids:
            if self._ids.setdefault(composed(image_id), image_id) != image_id:
                raise ValueError(
                    f'two images have the name {image_id!r}, in two Unicode '
                    'normal forms: rename one.')
        self._folded: dict[str, str] = {}
        for key, image_id in self._ids.items():
            self._folded.setdefault(key.casefold(), image_id)
            self._folded.setdefault(
                posixpath.basename(key).casefold(), image_id)

    def find(self, name: str, where: str = '') -> str | None:
        """Return the id of the image that is named.

        Args:
            name (str): Image id, or path below the image folder, in any
                Unicode normal form; tables of Windows have backslashes.
            where (str): Where it stands, for the error.

        Returns:
            str | None: Its id; None if there is no such image.

        Raises:
            ValueError: The name leads out of the image folder.
        """
        key = composed(name.strip()).replace('\\', '/').removeprefix('./')
        check_inside('the image folder', key, where)
        # an id may end like a file itself
        return self._ids.get(key) or self._ids.get(cut_suffix(key))

    def guess(self, name: str) -> str | None:
        """Return an image that a name without one may mean.

        Letters in the other case, another extension, other folders, or the
        rest of a line that was split at another character.
        """
        key = composed(name.strip()).replace('\\', '/').casefold()
        for text in (key, re.split(r'[;,|\t]', key)[0]):
            for stem in (text, cut_suffix(text), posixpath.splitext(text)[0]):
                found = self._folded.get(stem) or self._folded.get(
                    posixpath.basename(stem))
                if found:
                    return found
        return None


class Labeller:
    """Turn tags, names or indices, into sorted unique class indices.

    Args:
        classes (tuple[str, ...]): Foreground classes.
        as_index (bool): Whether tags are indices. Defaults to False.
        ignore_unknown (bool): Whether to leave out names that are no class.
            Defaults to False.

    Raises:
        ValueError: Two classes have one name.
    """

    def __init__(self,
                 classes: tuple[str, ...],
                 *,
                 as_index: bool = False,
                 ignore_unknown: bool = False) -> None:
        self.lookup = {composed(name): i for i, name in enumerate(classes)}
        if len(self.lookup) < len(classes):
            names = [composed(name) for name in classes]
            twice = sorted({n for n in names if names.count(n) > 1})
            raise ValueError(f'classes have one name twice: {listed(twice)}. '
                             'Labels are found by name: rename one.')
        self.as_index = as_index
        self.ignore_unknown = ignore_unknown

    def __call__(self, tags: Iterable[Any], where: str) -> tuple[int, ...]:
        """Return the labels that tags stand for."""
        if self.ignore_unknown:
            tags = [tag for tag in tags if composed(tag) in self.lookup]
        convert = self._index if self.as_index else self._name
        return tuple(sorted({convert(tag, where) for tag in tags}))

    def _index(self, tag: Any, where: str) -> int:
        try:
            if isinstance(tag, bool | float):  # int() would round in silence
                raise ValueError
            index = int(tag)
        except (TypeError, ValueError):
            raise ValueError(
                f'{where}: expected an integer class index (as_index=True), '
                f'got {tag!r}.') from None
        if not 0 <= index < len(self.lookup):
            raise ValueError(
                f'{where}: class index {index} is out of range; valid are the '
                f'0-based foreground classes 0 to {len(self.lookup) - 1} '
                '(the background is not counted).')
        return index

    def _name(self, tag: Any, where: str) -> int:
        if isinstance(tag, str) and composed(tag) in self.lookup:
            return self.lookup[composed(tag)]
        by_lower = {name.lower(): name for name in self.lookup}
        near = [
            by_lower[name] for name in difflib.get_close_matches(
                str(tag).lower(), by_lower, n=3, cutoff=0.6)
        ]
        hint = (f'Nearest valid names: {listed(near)}.'
                if near else f'Valid names: {listed(list(self.lookup), 10)}.')
        if str(tag).isdigit():
            hint += ' If the tags are indices, set as_index=True.'
        raise ValueError(f'{where}: unknown class {tag!r}. {hint}')


def check_known(unknown: list[str],
                index: ImageIndex,
                source: str,
                advice: str,
                strangers: Sequence[str] = ()) -> None:
    """Raise if the source lacks images.

    Args:
        unknown (list[str]): Ids of the images that the source lacks.
        index (ImageIndex): All images asked for.
        source (str): The file or folder, in words.
        advice (str): What to do about it.
        strangers (Sequence[str]): Names in the source of other images.
    """
    if not unknown:
        return
    message = (f'{len(unknown)} of {len(index.image_ids)} images have no '
               f'entry in {source}: {listed(unknown)}. {advice}')
    if strangers:
        message += f' Other entries are named like {listed(strangers, 2)}.'
    lacking = set(unknown)
    for name in strangers:
        if (near := index.guess(name)) in lacking:
            message += f' Does {name!r} mean the image {near!r}?'
            break
    raise ValueError(message)


def existing(path: str | Path, what: str, *, folder: bool = False) -> Path:
    """Return ``path`` if it is there, else say what is missing."""
    path = Path(path)
    if not (path.is_dir() if folder else path.is_file()):
        raise FileNotFoundError(
            f'{what} {str(path)!r} does not exist or is no '
            f'{"folder" if folder else "file"}. Relative paths start at the '
            'current folder.')
    return path


def file_of(folder: Path, image_id: str, suffix: str) -> Path:
    """Return the file of an image, in whatever normal form it is named."""
    paths = [
        check_inside(folder, name + suffix)
        for name in (image_id, composed(image_id),
                     unicodedata.normalize('NFD', image_id))
    ]
    return next((path for path in paths if path.exists()), paths[0])


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, 16 or 32; whatever is wrong names it."""
    try:
        # bytes: JSON says by itself which Unicode encoding it is in
        return json.loads(
            path.read_bytes(),
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
