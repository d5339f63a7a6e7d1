import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from mmlpcam.utils.names import listed
from .image_finder import to_nfc


class TagEncoder:
    """Turn the tags of an image into class indices.

    Args:
        classes (Sequence[str]): Foreground class names.
        as_index (bool): Whether tags are 0-based foreground indices instead
            of names. Defaults to False.
        ignore_unknown (bool): Whether to leave out names that are no class.
            Defaults to False.

    Raises:
        ValueError: If two classes have one name, or unknown indices are to
            be left out.

    Example:
        >>> encoder = TagEncoder(('cat', 'dog', 'guinea pig'))
        >>> encoder.encode(['dog', 'cat', 'dog'], 'tags.txt, line 3')
        (0, 1)
        >>> encoder.encode(['dgo'], 'tags.txt, line 4')
        Traceback (most recent call last):
        ValueError: tags.txt, line 4: unknown class 'dgo'. Nearest valid \
names: 'dog'
    """

    def __init__(self,
                 classes: Sequence[str],
                 *,
                 as_index: bool = False,
                 ignore_unknown: bool = False) -> None:
        if as_index and ignore_unknown:
            raise ValueError('`ignore_unknown` is for names: leave it out '
                             'where tags are indices, as_index=True')
        self.indices = {to_nfc(name): i for i, name in enumerate(classes)}
        if len(self.indices) < len(classes):
            names = [to_nfc(name) for name in classes]
            twice = sorted({n for n in names if names.count(n) > 1})
            raise ValueError(f'classes have one name twice: {listed(twice)}. '
                             'Labels are found by name: rename one')
        self.as_index = as_index
        self.ignore_unknown = ignore_unknown

    def encode(self, tags: Iterable[Any], where: str) -> tuple[int, ...]:
        """Return the classes that the tags of an image stand for.

        Args:
            tags (Iterable[str | int]): Class names in any Unicode normal
                form, or indices.
            where (str): File and line or the like, for errors.

        Returns:
            tuple[int, ...]: Sorted unique class indices.

        Raises:
            ValueError: If a tag is no class, also one that is left out where
                it is unknown but no name at all, or `tags` is one text.
        """
        if isinstance(tags, str):  # its letters are no tags
            raise ValueError(f'{where}: expected a list of tags, but got '
                             f'{tags!r}')
        convert = self._check_index if self.as_index else self._find_name
        found = {convert(tag, where) for tag in tags}
        return tuple(sorted(index for index in found if index is not None))

    def _check_index(self, tag: Any, where: str) -> int:
        try:
            # int() would round in silence, and reads 1_2 as 12
            if isinstance(tag, bool | float) or '_' in str(tag):
                raise ValueError
            index = int(tag)
        except (TypeError, ValueError):
            raise ValueError(
                f'{where}: expected an integer class index (as_index=True), '
                f'but got {tag!r}') from None
        if not 0 <= index < len(self.indices):
            raise ValueError(
                f'{where}: class index {index} is out of range; valid are the '
                f'0-based foreground classes 0 to {len(self.indices) - 1} '
                '(the background is not counted)')
        return index

    def _find_name(self, tag: Any, where: str) -> int | None:
        is_name = isinstance(tag, str) and bool(tag.strip())
        index = self.indices.get(to_nfc(tag)) if is_name else None
        if index is not None or (is_name and self.ignore_unknown):
            return index
        by_lower = {name.lower(): name for name in self.indices}
        near = [
            by_lower[name] for name in difflib.get_close_matches(
                str(tag).lower(), by_lower, n=3, cutoff=0.6)
        ]
        hint = (f'Nearest valid names: {listed(near)}'
                if near else f'Valid names: {listed(list(self.indices), 10)}')
        if str(tag).isdigit():
            hint += '. If the tags are indices, set as_index=True'
        raise ValueError(f'{where}: unknown class {tag!r}. {hint}')
