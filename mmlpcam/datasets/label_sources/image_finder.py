"""Which image a name in a label file means."""
import posixpath
import re
import unicodedata
from collections.abc import Container, Iterable, Sequence

from mmlpcam.utils.names import check_inside, listed

PHOTO_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
"""tuple[str, ...]: What photos end in, in any case."""
# a table may come from where photos had another format
_KNOWN_SUFFIXES = (*PHOTO_SUFFIXES, '.gif', '.heic', '.jfif', '.jp2', '.pgm',
                   '.ppm')


def to_nfc(text: str) -> str:
    """Return a text in the one normal form that names are compared in.

    macOS decomposes the names of files, spreadsheets compose what they write.

    Args:
        text (str): Name of a file or class.

    Returns:
        str: The same in Unicode normal form C.
    """
    return unicodedata.normalize('NFC', text)


def without_photo_suffix(name: str) -> str:
    """Cut the suffix of a photo off, and no other: ``v1.5`` is a name.

    Args:
        name (str): Name or path of a file, with ``/`` between folders.

    Returns:
        str: The name, without a suffix that photos have.
    """
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in _KNOWN_SUFFIXES else name


class ImageFinder:
    """Find the images that a label file names.

    Args:
        images (Iterable[str]): All image ids.

    Raises:
        ValueError: If two ids differ in their Unicode normal form alone.

    Example:
        >>> finder = ImageFinder(['cats/tom', 'v1.5'])
        >>> finder.find('cats/tom.jpg'), finder.find('v1.5')
        ('cats/tom', 'v1.5')
        >>> finder.find('tom.jpg'), finder.guess('Tom.JPEG')
        (None, 'cats/tom')
    """

    def __init__(self, images: Iterable[str]) -> None:
        self.image_ids = list(images)
        self._ids: dict[str, str] = {}
        for image_id in self.image_ids:
            if self._ids.setdefault(to_nfc(image_id), image_id) != image_id:
                raise ValueError(
                    f'two images have the name {image_id!r}, in two Unicode '
                    'normal forms: rename one')
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
            where (str): Where it stands, for the error. Defaults to ''.

        Returns:
            str | None: Its id; None if there is no such image.

        Raises:
            ValueError: If the name leads out of the image folder.
        """
        key = to_nfc(name.strip()).replace('\\', '/').removeprefix('./')
        check_inside('the image folder', key, where)
        # an id may end like a file itself
        return self._ids.get(key) or self._ids.get(without_photo_suffix(key))

    def guess(self, name: str) -> str | None:
        """Return an image that a name without one may mean, for a hint.

        Letters in the other case, another extension, other folders, or the
        rest of a line that was split at another character.

        Args:
            name (str): Name that :meth:`find` does not know.

        Returns:
            str | None: The id of an image, or None.
        """
        key = to_nfc(name.strip()).replace('\\', '/').casefold()
        for text in (key, re.split(r'[;,|\t]', key)[0]):
            for stem in (text, without_photo_suffix(text),
                         posixpath.splitext(text)[0]):
                found = self._folded.get(stem) or self._folded.get(
                    posixpath.basename(stem))
                if found:
                    return found
        return None


def check_all_labeled(labels: Container[str],
                      images: Iterable[str],
                      source: str,
                      advice: str,
                      strangers: Sequence[str] = ()) -> None:
    """Refuse a source that says nothing about some of the images.

    Args:
        labels (Container[str]): Ids of the images that the source knows,
            such as the labels themselves.
        images (Iterable[str]): Ids of all images asked for.
        source (str): The file or folder, in words.
        advice (str): What to do about it, the end of the message.
        strangers (Sequence[str]): Names in the source of other images; one
            may be that of a lacking image with a typing error. Defaults to
            ().

    Raises:
        ValueError: If images have no entry, or two of them differ in their
            Unicode normal form alone.

    Example:
        >>> check_all_labeled({'a': (0, )}, ['a', 'b'], "'tags.txt'",
        ...                   'Expected a line for each')
        Traceback (most recent call last):
        ValueError: 1 of 2 images have no entry in 'tags.txt': 'b'. Expected \
a line for each
    """
    finder = ImageFinder(images)
    unknown = [i for i in finder.image_ids if i not in labels]
    if not unknown:
        return
    sentences = [
        f'{len(unknown)} of {len(finder.image_ids)} images have no entry in '
        f'{source}: {listed(unknown)}', advice
    ]
    if strangers:
        sentences.append(
            f'Other entries are named like {listed(strangers, 2)}')
    lacking = set(unknown)
    for name in strangers:
        if (near := finder.guess(name)) in lacking:
            sentences.append(f'Does {name!r} mean the image {near!r}?')
            break
    raise ValueError('. '.join(sentences).replace('?. ', '? '))
