from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

Labels = dict[str, tuple[int, ...]]
"""type: Sorted, unique foreground class indices of each image, by its id."""


class ImageLabelSource(ABC):
    """Base class of the label sources.

    Subclasses are registered in ``mmseg.registry.TASK_UTILS`` and built from
    a config, ``dict(type='VOCXMLLabels', ann_dir='...')``. Of use to them are
    :class:`TagEncoder`, :class:`ImageFinder`, :func:`check_all_labeled`,
    :func:`existing_path`, :func:`label_file` and :func:`read_label_json`.

    Example:
        >>> from pathlib import Path
        >>> from mmlpcam.datasets import TagEncoder
        >>> class FileNameLabels(ImageLabelSource):
        ...     # photos are named by what they show, 'fox_0001.jpg'
        ...     def load(self, images, classes):
        ...         encoder = TagEncoder(classes)
        ...         return {
        ...             image_id: encoder.encode(
        ...                 [Path(path).name.partition('_')[0]], path)
        ...             for image_id, path in images.items()
        ...         }
        >>> FileNameLabels().load({'a/fox_1': 'photos/a/fox_1.jpg'},
        ...                       ('deer', 'fox'))
        {'a/fox_1': (1,)}
    """

    @abstractmethod
    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """Find the labels of the images asked for.

        Args:
            images (Mapping[str, str]): Path of each image by its id, so that
                a source can look at the photo.
            classes (Sequence[str]): Foreground class names, without the
                background.

        Returns:
            dict[str, tuple[int, ...]]: For every image id the sorted, unique
            class indices in [0, len(classes)). Empty where the source says
            that the image shows no class.

        Raises:
            FileNotFoundError: If a label file or folder does not exist.
            ValueError: If the source knows nothing about an image, or holds
                a class that is not in ``classes``.
        """

    def __repr__(self) -> str:
        options = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'{type(self).__name__}({options})'


def load_labels(source: ImageLabelSource, images: Mapping[str, str],
                classes: Sequence[str]) -> Labels:
    """Load labels and check them: a source may be that of a user.

    Args:
        source (ImageLabelSource): The source.
        images (Mapping[str, str]): Path of each image by its id.
        classes (Sequence[str]): Foreground class names.

    Returns:
        dict[str, tuple[int, ...]]: Sorted unique class indices of each image.

    Raises:
        TypeError: If the source does not return a dict.
        ValueError: If labels of an image are missing or are no such tuple,
            and what :meth:`ImageLabelSource.load` raises.
    """
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
