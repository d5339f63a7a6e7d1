"""Checks of image files before they are needed."""
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log

from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.names import listed
from mmlpcam.utils.photos import has_sixteen_bits, photo_size
from .nesting import nested_transforms

MAX_CLASSES = 255
"""int: Classes that a mask can tell apart, with the background."""

# Formats that may have 16 bits; the headers of others need no second look.
_DEEP_SUFFIXES = ('.png', '.tif', '.tiff')


def check_images(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Check that photos exist and read their sizes.

    Only headers are read.

    Args:
        paths (Sequence[str]): Image files on a local file system.

    Returns:
        list[tuple[int, int]]: ``(width, height)`` in pixels of each file,
        after the rotation that its EXIF orientation asks for (image loaders
        apply it).

    Raises:
        FileNotFoundError: If files do not exist.
        ValueError: If files are not readable as images.
    """
    return _read_all(photo_size, paths)


def check_bit_depth(paths: Sequence[str], pipeline: Any) -> None:
    """Refuse photos of 16 bits that a pipeline would cut to 8.

    Args:
        paths (Sequence[str]): Image files on a local file system.
        pipeline (Any): Transforms that load them.

    Raises:
        FileNotFoundError: Files do not exist.
        ValueError: The pipeline loads photos of 16 bits with
            ``LoadImageFromFile``, or files are not readable.
    """
    # by its very type: what derives from it, such as LoadPhoto, may do better
    if not any(
            type(each) is LoadImageFromFile
            and not each.color_type.startswith('unchanged')
            for each in nested_transforms(pipeline)):
        return
    paths = [path for path in paths if path.lower().endswith(_DEEP_SUFFIXES)]
    deep = [
        path
        for path, is_deep in zip(paths, _read_all(has_sixteen_bits, paths))
        if is_deep
    ]
    if deep:
        raise ValueError(
            f'{len(deep)} photos have 16 bits a channel: {listed(deep)}. '
            'LoadImageFromFile keeps the high byte alone, so that one of 12 '
            "bits is almost black: put dict(type='LoadPhoto') in its place "
            'into all pipelines, or save the photos with 8 bits.')


def check_masks(images: Sequence[str],
                masks: Sequence[str],
                num_classes: int,
                *,
                ignore_index: int = 255,
                need_class: bool = True) -> None:
    """Check that index masks can be read and fit their images and classes.

    Masks are read as a whole, since only their pixels tell if they are
    right.

    Args:
        images (Sequence[str]): Image files on a local file system.
        masks (Sequence[str]): The mask of each.
        num_classes (int): Number of classes with the background, at most
            255: values in [0, ``num_classes``) are right.
        ignore_index (int): Value of pixels without a class. Defaults to 255.
        need_class (bool): Whether masks that hold nothing but background and
            ``ignore_index``, all of them, are an error rather than a
            warning. Defaults to True.

    Raises:
        FileNotFoundError: If files do not exist.
        ValueError: If files are no index masks, hold a value that is no class,
            differ in size from their image, or are black and white.
    """
    image_sizes = check_images(images)
    found = _read_all(_size_and_values, masks)
    wrong = [
        f'{mask} is {mask_size}, {image} is {image_size}'
        for image, mask, image_size, (
            mask_size, _) in zip(images, masks, image_sizes, found)
        if image_size != mask_size
    ]
    if wrong:
        raise ValueError(
            f'{len(wrong)} of {len(masks)} masks differ in (width, height) '
            f'from their images: {listed(wrong)}. Masks must have the size of '
            'the original image')
    check_values(
        masks, [values for _, values in found],
        num_classes,
        ignore_index=ignore_index,
        need_class=need_class)


def check_values(masks: Sequence[str],
                 values: Sequence[np.ndarray],
                 num_classes: int,
                 *,
                 ignore_index: int = 255,
                 need_class: bool = True) -> None:
    """Check the values of index masks.

    Args:
        masks (Sequence[str]): File names, for messages.
        values (Sequence[np.ndarray]): The sorted values of each mask.
        num_classes (int): See :func:`check_masks`.
        ignore_index (int): See :func:`check_masks`.
        need_class (bool): See :func:`check_masks`.

    Raises:
        ValueError: If masks hold a value that is no class, or are black and
            white.
    """
    strange = {
        mask: found[(found >= num_classes) & (found != ignore_index)]
        for mask, found in zip(masks, values)
    }
    wrong = [
        f'{mask} has {listed(found.tolist())}'
        for mask, found in strange.items() if found.size
    ]
    black_and_white = [
        mask for mask, found in zip(masks, values)
        if {255} <= {*found.tolist()} <= {0, 255}
    ]
    if wrong:
        raise ValueError(
            f'{len(wrong)} of {len(masks)} masks hold values that are no '
            f'class: {listed(wrong)}. Expected 0 (background) to '
            f'{num_classes - 1}, or {ignore_index} (ignored)')
    if black_and_white and all({*found.tolist()} <= {0, 255}
                               for found in values):
        text = (
            f'{len(black_and_white)} of {len(masks)} masks hold nothing but 0 '
            f'and 255, and no mask holds a class: {listed(black_and_white)}. '
            'The value 255 means "ignored", so that there is no object in '
            'them. If they are black and white, with 255 for the object, '
            'write 1 instead of 255: '
            'Image.fromarray(np.array(mask) // 255).save(file)')
        if need_class:
            raise ValueError(text)
        print_log(text, logger='current', level=logging.WARNING)


def check_num_classes(classes: Sequence[str]) -> None:
    """Refuse more classes than masks can hold.

    Args:
        classes (Sequence[str]): Classes with the background.

    Raises:
        ValueError: If there are more than 255.
    """
    if len(classes) > MAX_CLASSES:
        raise ValueError(
            f'{len(classes)} classes are too many: masks are uint8 and hold '
            f'at most {MAX_CLASSES} with the background (255 is ignored). '
            'Leave some out of metainfo["classes"]')


def _size_and_values(path: str) -> tuple[tuple[int, int], np.ndarray]:
    mask = read_index_mask(path)
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    return mask.shape[::-1], values


def _read_all(read: Callable[[str], Any], paths: Sequence[str]) -> list:
    """Read files, by a few threads since file systems answer slowly.

    Raises:
        FileNotFoundError: If files do not exist.
        ValueError: If files are not what they should be.
    """

    def try_to(path: str) -> Any:
        try:
            return read(path)
        except (OSError, ValueError) as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(try_to, paths))
    bad = [error for error in found if isinstance(error, Exception)]
    missing = [
        path for path, error in zip(paths, found)
        if isinstance(error, FileNotFoundError)
    ]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} image files do not exist: '
            f'{listed(missing)}. Check data_root, data_prefix and the suffix, '
            'or set check_files=False if they are not on a local disk')
    if bad:
        raise ValueError(f'{len(bad)} of {len(paths)} image files cannot be '
                         f'used: {listed([str(error) for error in bad])}')
    return found
