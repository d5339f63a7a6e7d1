from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path] | None:
        """List the files that the labels depend on.

        :func:`load_labels` reads them once in a process for the same images,
        classes and options, unless one of them changes. A subclass that reads
        other files has to have a method of its own: this one is not inherited.

        Args:
            images (Mapping[str, str]): Path of each image by its id.

        Returns:
            Iterable[str | Path] | None: Their names. Defaults to None: it is
            not known, and labels are read each time.
        """
        return None

    def __repr__(self) -> str:
        options = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'{type(self).__name__}({options})'
