"""Labels of a source, read once in a process and checked."""
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from mmlpcam.utils.files import SETTLED
from .base import ImageLabelSource, Labels

_MAX_KEPT = 4
_kept: OrderedDict[str, Labels] = OrderedDict()


def load_labels(source: ImageLabelSource, images: Mapping[str, str],
                classes: Sequence[str]) -> Labels:
    """Load labels and check them: a source may be that of a user.

    The stages of a chain ask for the same labels several times. The four last
    ones are kept, as long as the files that they were read from
    (:meth:`ImageLabelSource.files`) stay as they are.

    Args:
        source (ImageLabelSource): The source.
        images (Mapping[str, str]): Path of each image by its id.
        classes (Sequence[str]): Foreground class names.

    Returns:
        dict[str, tuple[int, ...]]: Sorted unique class indices of each image.
        All who ask share it: it must not be changed.

    Raises:
        TypeError: If the source does not return a dict.
        ValueError: If labels of an image are missing or are no such tuple,
            and what :meth:`ImageLabelSource.load` raises.
    """
    key = _state(source, images, classes)
    if key is None:
        return _read(source, images, classes)
    if key not in _kept:
        _kept[key] = _read(source, images, classes)
        if len(_kept) > _MAX_KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]


def _state(source: ImageLabelSource, images: Mapping[str, str],
           classes: Sequence[str]) -> str | None:
    """Digest all that labels depend on; None if it cannot be told."""
    kind = type(source)
    if 'files' not in vars(kind):  # a subclass may read more
        return None
    digest = hashlib.blake2b(
        repr((kind.__module__, source, list(classes))).encode())
    for item in images.items():
        digest.update(repr(item).encode())
    newest = 0
    try:
        for path in source.files(images) or ():
            stat = os.stat(path)
            times = stat.st_mtime_ns, stat.st_ctime_ns
            newest = max(newest, *times)
            digest.update(
                repr((stat.st_dev, stat.st_ino, stat.st_size, times)).encode())
    except (OSError, ValueError):
        return None  # loading says what is wrong
    return digest.hexdigest() if time.time_ns() - newest > SETTLED else None


def _read(source: ImageLabelSource, images: Mapping[str, str],
          classes: Sequence[str]) -> Labels:
    labels = source.load(images, classes)
    name = f'{type(source).__name__}.load'
    if not isinstance(labels, Mapping):
        raise TypeError(f'{name} must return a dict of labels by image id, '
                        f'but returned {labels!r:.80}')
    for image_id in images:
        found = labels.get(image_id)
        if (not isinstance(found, tuple) or not all(
                isinstance(index, int
                           | np.integer) and 0 <= index < len(classes)
                for index in found) or list(found) != sorted(set(found))):
            raise ValueError(
                f'{name} returned {found!r} for image {image_id!r}; expected '
                f'a tuple of sorted unique indices in [0, {len(classes)}), '
                'such as TagEncoder makes')
    return {image_id: labels[image_id] for image_id in images}
