"""Masks in CVAT's format "Segmentation mask 1.1", the layout of VOC.

https://docs.cvat.ai/docs/manual/advanced/formats/format-smask/
"""
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mmlpcam.datasets import ImageFinder
from mmlpcam.datasets.shards import MAX_MEMBER_SIZE
from mmlpcam.utils import atomic_path, reading
from mmlpcam.utils.masks import voc_colormap
from .base import MaskFormat, NamedMask, check_size

_CLASSES, _OBJECTS = 'SegmentationClass', 'SegmentationObject'
_LABELS = 'labelmap.txt'
_SUBSET = 'ImageSets/Segmentation/default.txt'


class CVATMasks(MaskFormat):
    """A zip archive with a coloured PNG per image, and ``labelmap.txt``.

    ``SegmentationClass/`` has the colours of the classes, and
    ``SegmentationObject/`` a colour for each class of an image: an object per
    class. An archive that was unpacked is read as well.
    """

    suffix = '.zip'

    def write(self, masks: Iterable[NamedMask], path: Path) -> None:
        """See :meth:`MaskFormat.write`."""
        if len(set(self.palette)) < len(self.classes):
            raise ValueError(
                'CVAT tells classes by their colours, but two are equal: '
                f'{self.palette}. Change the palette of the classes')
        for name in self.classes:
            if ':' in name or name.startswith('#'):
                raise ValueError(
                    f'the class {name!r} cannot be written to {_LABELS} of '
                    'CVAT, whose columns end at ":" and whose comments start '
                    'with "#": rename it')
        lines = ['# label:color_rgb:parts:actions'] + [
            f'{name}:{",".join(map(str, color))}::'
            for name, color in zip(self.classes, self.palette)
        ]
        colors = np.array(self.palette, np.uint8)
        objects = np.array(voc_colormap(), np.uint8)
        names = []
        with atomic_path(path) as tmp, zipfile.ZipFile(
                tmp, 'w', zipfile.ZIP_STORED) as archive:
            for item in masks:
                labels = [0, *item.labels(len(self.classes))]
                numbers = np.searchsorted(labels, item.mask)
                for folder, picture in ((_CLASSES, colors[item.mask]),
                                        (_OBJECTS, objects[numbers])):
                    archive.writestr(f'{folder}/{item.image_id}.png',
                                     _png(picture))
                names.append(item.image_id)
            archive.writestr(_LABELS, '\n'.join(lines) + '\n')
            archive.writestr(_SUBSET, '\n'.join(names) + '\n')

    def read(self, path: Path,
             images: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """See :meth:`MaskFormat.read`."""
        with reading(path, 'archive of CVAT masks'):
            files = _files(path)
        if _LABELS not in files:
            raise ValueError(f'{path} has no {_LABELS}: export the task from '
                             'CVAT as "Segmentation mask 1.1"')
        finder = ImageFinder(images)
        names = _label_map(files[_LABELS], f'{path}, {_LABELS}')
        for name, load in files.items():
            folder, _, rest = name.partition('/')
            if folder != _CLASSES or not rest.endswith('.png'):
                continue
            image_id = finder.find(rest, f'{path}, {_CLASSES}')
            if image_id is None:
                continue
            where = f'{path}, {name}'
            with reading(where, 'PNG of colours'):
                with Image.open(io.BytesIO(load())) as image:
                    check_size(image.size[::-1], images[image_id], where)
                    pixels = np.asarray(image.convert('RGB'))
                yield image_id, self._mask(pixels, names, where)

    def _mask(self, pixels: np.ndarray, names: dict[int, str],
              where: str) -> np.ndarray:
        codes, index = np.unique(_codes(pixels), return_inverse=True)
        found = []
        for code in codes.tolist():
            if code not in names:
                raise ValueError(f'the colour #{code:06x} is not in {_LABELS}')
            # CVAT adds its own background
            name = names[code]
            found.append(0 if name ==
                         'background' else self.value_of(name, where))
        return np.array(found, np.uint8)[index].reshape(pixels.shape[:2])


def _label_map(load: Callable[[], bytes], where: str) -> dict[int, str]:
    """Return the label of each colour of ``labelmap.txt``."""
    names: dict[int, str] = {}
    with reading(where, 'label map of CVAT'):
        for line in load().decode('utf-8-sig').splitlines():
            if not line.strip() or line.startswith('#'):
                continue
            name, color = line.split(':')[:2]
            code = int(_codes(np.array(color.split(','), np.uint8)))
            if code in names:
                raise ValueError(f'the colour {color} is there twice')
            names[code] = name
    return names


def _codes(pixels: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) uint8 as numbers 0xRRGGBB."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


def _png(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as buffer:
        Image.fromarray(pixels).save(buffer, 'PNG')
        return buffer.getvalue()


def _files(path: Path) -> dict[str, Callable[[], bytes]]:
    """Return how to read each file of an archive or a folder, by its name."""
    if path.is_dir():
        return {
            file.relative_to(path).as_posix(): file.read_bytes
            for file in sorted(path.rglob('*')) if file.is_file()
        }
    archive = zipfile.ZipFile(path)
    return {
        info.filename: partial(_extract, archive, info)
        for info in archive.infolist()
    }


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_MEMBER_SIZE:  # zeros pack a thousandfold
        raise ValueError(f'{info.filename} says that it has {info.file_size} '
                         f'bytes: expected at most {MAX_MEMBER_SIZE}')
    return archive.read(info)
