"""What all formats of masks have in common."""
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmlpcam.utils.names import listed
from mmlpcam.utils.photos import photo_size


class NamedMask(NamedTuple):
    """The mask of an image.

    Attributes:
        image_id (str): Path of the image below its folder, without extension.
        file_name (str): The same with extension.
        mask (np.ndarray): Class of each pixel, (H, W) uint8; 0 is background.
    """
    image_id: str
    file_name: str
    mask: np.ndarray

    def labels(self, num_classes: int) -> list[int]:
        """Return the foreground values of the mask.

        Args:
            num_classes (int): Number of classes with the background.

        Returns:
            list[int]: Values in [1, num_classes), ascending.

        Raises:
            ValueError: If there is another value, which no annotation tool
                knows: 255 of ignored pixels, say.
        """
        values = np.unique(self.mask).tolist()
        if values[-1] >= num_classes:
            raise ValueError(
                f'the mask of {self.image_id!r} holds the value {values[-1]}, '
                f'but classes are 0 to {num_classes - 1}: give the classes of '
                'these masks; ignored pixels (255) cannot be exported')
        return [value for value in values if value]


def check_size(size: tuple[int, int], photo: str, where: str) -> None:
    """Refuse a mask of another size than its photo, before it is drawn.

    Args:
        size (tuple[int, int]): (H, W) of the mask.
        photo (str): Path of the photo.
        where (str): File and place, for the error.

    Raises:
        OSError: If the photo cannot be opened.
        ValueError: If it has another size.
    """
    expected = photo_size(photo)[::-1]
    if size != expected:
        raise ValueError(f'{where}: a mask of {photo} is {size} (H, W), but '
                         f'the photo is {expected}')


class MaskFormat(ABC):
    """Base of the formats, which write masks and read corrected ones.

    Args:
        classes (Sequence[str]): Names of the mask values, background first.
        palette (Sequence[Sequence[int]]): Colours [r, g, b] of the values.
    """

    suffix: str
    """str: What the file of the format ends in."""

    def __init__(self, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]) -> None:
        self.classes = tuple(classes)
        self.palette = [tuple(color) for color in palette]

    @abstractmethod
    def write(self, masks: Iterable[NamedMask], path: Path) -> None:
        """Write masks to a file, whole or not at all.

        Args:
            masks (Iterable[NamedMask]): The masks.
            path (Path): File name.

        Raises:
            ValueError: If a mask or name of a class does not fit.
        """

    @abstractmethod
    def read(self, path: Path,
             images: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """Read masks, such as were written and then corrected.

        Args:
            path (Path): What the annotation tool has exported.
            images (Mapping[str, str]): Path of each photo by its id; masks of
                others are left out.

        Yields:
            tuple[str, np.ndarray]: Image id, and mask (H, W) uint8 of the
            size of the photo.

        Raises:
            OSError: If the file cannot be opened.
            ValueError: If it is of another format, or names other classes;
                or a mask has another size than its photo.
        """

    def value_of(self, name: str, where: str) -> int:
        """Return the mask value of a class.

        Args:
            name (str): Its name in a file.
            where (str): File and place, for the error.

        Returns:
            int: The value, 0 for the background.

        Raises:
            ValueError: If there is no such class.
        """
        if name not in self.classes:
            raise ValueError(f'{where}: {name!r} is none of the classes '
                             f'{listed(self.classes, 10)}: give the classes '
                             'that the masks were exported with')
        return self.classes.index(name)
