"""Semantic masks from the instances files of MS COCO.

The masks are those that methods for image-level labels are scored with on
COCO: instances are painted in the order of the annotation file, so that a
later one covers an earlier one, crowds are left out, and no pixel is ignored.
"""
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mmlpcam.datasets.coco_objects import CATEGORY_TO_CLASS, CLASSES
from mmlpcam.utils import reading
from mmlpcam.utils.masks import read_index_mask, write_index_mask
from mmlpcam.utils.names import check_inside
from mmlpcam.utils.parallel import Track, parallel_map, write_missing

# Sizes of an image that a polygon may reach out of it.
_FAR = 10


@dataclass(frozen=True)
class COCOInstance:
    """One instance that is painted.

    Args:
        annotation_id (int): Its id in the file, for error messages.
        label (int): Mask value, in [1, 80].
        segmentation (list | dict): List of polygons ``[x, y, x, y, ...]`` in
            pixels, or an RLE: ``counts``, a list or a compressed string, and
            ``size`` (H, W).
    """

    annotation_id: int
    label: int
    segmentation: Any


@dataclass(frozen=True)
class COCOImage:
    """One image and its instances.

    Args:
        file_name (str): Name of the image file.
        size (tuple[int, int]): (H, W) in pixels.
        instances (tuple[COCOInstance, ...]): In the order of the file,
            without crowds.
    """

    file_name: str
    size: tuple[int, int]
    instances: tuple[COCOInstance, ...]

    @property
    def mask_name(self) -> str:
        """str: Name of the mask file."""
        return f'{Path(self.file_name).stem}.png'


def read_instances(ann_file: str | Path) -> list[COCOImage]:
    """Read an instances file.

    Args:
        ann_file (str | Path): Such as ``instances_val2014.json``.

    Returns:
        list[COCOImage]: All images of the file, also those without instances.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no instances file of the 80 object categories, or
            two images would share a mask file.
    """
    with reading(ann_file, 'COCO instances file'):
        return _images(json.loads(Path(ann_file).read_text(encoding='utf-8')))


def _images(data: Any) -> list[COCOImage]:
    """Turn the content of an instances file into images."""
    if not isinstance(data, dict):
        raise ValueError('expected a COCO instances file, an object with '
                         "'images', 'annotations' and 'categories', but got "
                         f'{type(data).__name__}')
    for category in data['categories']:
        label = CATEGORY_TO_CLASS.get(category['id'])
        expected = CLASSES[label] if label else None
        if category['name'] != expected:
            raise ValueError(
                f'category {category["id"]} is {category["name"]!r}, but '
                f'{expected!r} among the 80 object categories of COCO: '
                'expected instances_{train,val}{2014,2017}.json')

    instances = defaultdict(list)
    for item in data['annotations']:
        label = CATEGORY_TO_CLASS.get(item['category_id'])
        if label is None:
            raise ValueError(
                f'annotation {item["id"]} has category_id '
                f'{item["category_id"]}, which is none of the 80 object '
                'categories of COCO')
        if not item.get('iscrowd', 0):
            instances[item['image_id']].append(
                COCOInstance(item['id'], label, item.get('segmentation')))
    images: dict[str, COCOImage] = {}
    for item in data['images']:
        check_inside('the image folder', item['file_name'])
        image = COCOImage(item['file_name'], (item['height'], item['width']),
                          tuple(instances.pop(item['id'], ())))
        if image.mask_name in images:
            raise ValueError(
                f'the images {images[image.mask_name].file_name!r} and '
                f'{image.file_name!r} would share the mask '
                f'{image.mask_name!r}: give each folder a file of its own')
        images[image.mask_name] = image
    if instances:
        raise ValueError(
            f'annotations are of {len(instances)} images that the file does '
            f"not list, such as 'image_id' {next(iter(instances))!r}: fetch "
            'it again')
    return list(images.values())


def paint_mask(image: COCOImage) -> np.ndarray:
    """Paint the instances of an image, the first one at the bottom.

    Args:
        image (COCOImage): The image.

    Returns:
        np.ndarray: Class of each pixel, (H, W) uint8 in [0, 80], 0 is the
        background.

    Raises:
        ImportError: If pycocotools is not installed.
        ValueError: If a segmentation cannot be read.
    """
    mask = np.zeros(image.size, np.uint8)
    for instance in image.instances:
        try:
            region = rasterize(instance.segmentation, image.size)
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f'annotation {instance.annotation_id} of image '
                             f'{image.file_name!r} has no valid segmentation: '
                             f'{error}') from error
        mask[region] = instance.label
    return mask


def rasterize(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Draw a segmentation.

    Args:
        segmentation (Any): Of :class:`COCOInstance`, not checked yet.
        size (tuple[int, int]): (H, W) of the image.

    Returns:
        np.ndarray: Its pixels, (H, W) bool.

    Raises:
        ImportError: If pycocotools is not installed.
        KeyError | TypeError | ValueError: If it cannot be read.
    """
    coco = import_pycocotools()
    if isinstance(segmentation, dict):
        rle = segmentation
        if tuple(rle['size']) != size:
            raise ValueError(f'its RLE is for (H, W) = {tuple(rle["size"])}, '
                             f'but the image is {size}')
        is_list = isinstance(rle['counts'], list)
        # pycocotools leaves pixels that it has no run for as they happen to be
        runs = rle['counts'] if is_list else _run_lengths(rle['counts'])
        if not all(isinstance(run, int) and run >= 0 for run in runs):
            raise ValueError('its RLE has run lengths that are no whole '
                             'numbers of pixels')
        if sum(runs) != size[0] * size[1]:
            raise ValueError(f'its RLE counts {sum(runs)} pixels of '
                             f'{size[0] * size[1]}')
        if is_list:
            rle = coco.frPyObjects(rle, *size)
    elif isinstance(segmentation, list) and segmentation:
        if any(len(polygon) % 2 for polygon in segmentation):
            raise ValueError('a polygon has an odd number of coordinates')
        # Less than 3 points have no area; pycocotools would take 2 of them
        # for a box.
        polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
        if not polygons:
            return np.zeros(size, bool)
        farthest = max(
            np.abs(np.array(polygon, float)).max() for polygon in polygons)
        # pycocotools walks along each edge, and crashes on very long ones
        if not farthest <= _FAR * max(size):
            raise ValueError(f'a polygon reaches {farthest:.0f}, far out of '
                             f'the image of {size} (H, W)')
        rle = coco.merge(coco.frPyObjects(polygons, *size))
    else:
        raise ValueError(f'expected polygons or an RLE, but got '
                         f'{segmentation!r}: does the file hold boxes only?')
    return coco.decode(rle).astype(bool)


def _run_lengths(counts: str | bytes) -> list[int]:
    """Decode the compressed run lengths of COCO.

    A character has five bits, the lowest first; its sixth says that more
    follow. From the fourth on, a run is the difference to the one before the
    last (``rleFrString`` of pycocotools).
    """
    text = counts.encode('ascii') if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for code in (byte - ord('0') for byte in text):
        if not 0 <= code < 64 or shift > 60:
            raise ValueError('its compressed RLE is damaged')
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError('its compressed RLE is cut')
    return runs


def import_pycocotools() -> ModuleType:
    """Return ``pycocotools.mask``.

    Raises:
        ImportError: If it is not installed, with what to do.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            'masks of COCO are drawn with pycocotools, which does not import '
            f'({error}): run `pip install pycocotools`') from error
    return mask


def write_coco_masks(images: list[COCOImage],
                     out_dir: str | Path,
                     *,
                     overwrite: bool = False,
                     nproc: int = 1,
                     track: Track | None = None) -> int:
    """Write the mask of each image, ``<out_dir>/<stem of the image>.png``.

    A mask is a PNG of class indices, uint8 with palette, of the original
    size; also of images without instances, where it is all 0. It appears
    whole or not at all.

    Args:
        images (list[COCOImage]): The images.
        out_dir (str | Path): Folder of the masks; made where missing.
        overwrite (bool): Whether to make masks anew that are there already.
            Defaults to False.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): Shows progress, see
            :func:`~mmlpcam.utils.parallel.parallel_map`. Defaults to None.

    Returns:
        int: Number of masks written.

    Raises:
        ImportError: If pycocotools is not installed.
        ValueError: If a segmentation cannot be read.
        OSError: If a file cannot be written.
    """
    import_pycocotools()  # fail before there are processes
    return write_missing(
        _write_mask,
        {Path(out_dir, image.mask_name): image
         for image in images},
        overwrite=overwrite,
        nproc=nproc,
        track=track)


def _write_mask(path: Path, image: COCOImage) -> None:
    write_index_mask(path, paint_mask(image))


def check_coco_masks(images: list[COCOImage],
                     out_dir: str | Path,
                     *,
                     nproc: int = 1,
                     track: Track | None = None) -> list[str]:
    """Read all masks again and check them against the instances file.

    Args:
        images (list[COCOImage]): The images.
        out_dir (str | Path): Folder of the masks.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): Shows progress. Defaults to None.

    Returns:
        list[str]: What is wrong: masks that are missing, cannot be read,
        have another size than the image, or a class that the image has no
        instance of.
    """
    tasks = [(Path(out_dir, image.mask_name), image) for image in images]
    found = parallel_map(_check_mask, tasks, nproc=nproc, track=track)
    return [problem for problem in found if problem]


def _check_mask(task: tuple[Path, COCOImage]) -> str | None:
    path, image = task
    try:
        mask = read_index_mask(path)
    except FileNotFoundError:
        return f'{path}: missing'
    except ValueError as error:
        return str(error)
    if mask.shape != image.size:
        return (f'{path}: expected (H, W) = {image.size} as in the '
                f'annotations, but got {mask.shape}')
    expected = {0, *(instance.label for instance in image.instances)}
    surplus = sorted(set(np.unique(mask).tolist()) - expected)
    if surplus:
        return (f'{path}: has the values {surplus}, but the image has no '
                'instance of these classes')
    return None
