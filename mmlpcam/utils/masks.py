"""Index masks as PNG files."""
import os
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image

from .files import atomic_path, reading
from .photos import orientation

_ADVICE = 'write it as a PNG of 8 bits, one channel, the class of each pixel'


def voc_colormap(num_colors: int = 256) -> list[list[int]]:
    """Return the colours of PASCAL VOC, which spread the bits of an index.

    Bits 0, 1 and 2 of the index become the highest bits of red, green and
    blue, bits 3, 4 and 5 their second highest ones, and so on, so that
    neighbours look different.

    Args:
        num_colors (int): Number of colours, at most 256. Defaults to 256.

    Returns:
        list[list[int]]: ``num_colors`` colours ``[r, g, b]`` in [0, 255].
    """
    return [[
        sum((index >> (3 * place + channel) & 1) << (7 - place)
            for place in range(3)) for channel in range(3)
    ] for index in range(num_colors)]


def write_index_mask(path: str | os.PathLike,
                     mask: np.ndarray,
                     palette: Sequence[Sequence[int]] | None = None) -> None:
    """Write a mask as PNG (mode P).

    Args:
        path (str | os.PathLike): File name. The file appears whole.
        mask (np.ndarray): See :func:`encode_index_mask`.
        palette (Sequence[Sequence[int]], optional): The same.

    Raises:
        ValueError: If an index does not fit into 8 bits.
    """
    content = encode_index_mask(mask, palette, str(path))
    with atomic_path(path) as tmp:
        tmp.write_bytes(content)


def encode_index_mask(mask: np.ndarray,
                      palette: Sequence[Sequence[int]] | None = None,
                      name: str = 'mask') -> bytes:
    """Return the PNG file (mode P) of a mask.

    Args:
        mask (np.ndarray): Class indices, (H, W), integers in [0, 255].
        palette (Sequence[Sequence[int]], optional): RGB colour per class.
            Defaults to None: those of PASCAL VOC.
        name (str): What the error calls it. Defaults to 'mask'.

    Returns:
        bytes: The file.

    Raises:
        ValueError: If an index does not fit into 8 bits.
    """
    if mask.size and not 0 <= mask.min() <= mask.max() <= 255:
        raise ValueError(
            f'{name}: class indices from {mask.min()} to {mask.max()} do not '
            'fit into a mask of 8 bits, [0, 255]: there are too many classes')
    mask = mask.astype(np.uint8)
    image = Image.fromarray(mask).convert('P')
    image.putpalette(_full_palette(tuple(map(tuple, palette or ()))))
    file = BytesIO()
    image.save(file, 'PNG')
    return file.getvalue()


@lru_cache
def _full_palette(colors: tuple[tuple[int, ...], ...]) -> bytes:
    """Return 256 colours: Pillow packs fewer into 4 bits or less a pixel."""
    return bytes(np.ravel([*colors, *voc_colormap()[len(colors):]]).tolist())


def read_index_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a mask of class indices, with or without a palette.

    What is certain is converted: 1, 16 or 32 bits a pixel and whole real
    numbers, as long as all values lie in [0, 255]. It reads what
    ``LoadAnnotations`` of MMSegmentation reads, and refuses what that would
    misread.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        np.ndarray: Class indices, (H, W) uint8.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is damaged, or no index mask.
    """
    with reading(path, 'index mask', _ADVICE), Image.open(path) as image:
        _check_kind(image)
        mask = np.array(image)
    with reading(path, 'index mask', _ADVICE):
        low, high = mask.min(), mask.max()
        # written so that NaN fails
        if not (low >= 0 and high <= 255):
            raise ValueError(
                f'its values go from {low} to {high}, expected [0, 255]')
        indices = mask.astype(np.uint8)
        if not np.array_equal(indices, mask):
            raise ValueError('its values are not whole numbers')
    return indices


def _check_kind(image: Image.Image) -> None:
    """Refuse images whose pixels are no class indices for certain."""
    bands = image.getbands()
    if len(bands) != 1:
        raise ValueError(f'expected one channel, but its mode is {image.mode}:'
                         ' is it a colour image?')
    frames = getattr(image, 'n_frames', 1)
    if frames != 1:
        raise ValueError(f'it holds {frames} images, expected one')
    if image.format in ('JPEG', 'MPO'):
        raise ValueError('JPEG changes the values of pixels, which are class '
                         'indices')
    if orientation(image) != 1:
        raise ValueError('it has an EXIF orientation, which loaders of masks '
                         'do not apply')
    # Pillow and OpenCV stretch grey of 2 or 4 bits to [0, 255]
    if image.mode == 'L' and any(
            bits in str(tile[-1]) for tile in getattr(image, 'tile', ())
            for bits in ('L;2', 'L;4')):
        raise ValueError('grey values of 2 or 4 bits a pixel are stretched '
                         'when they are read')


def read_grey_map(path: str | os.PathLike) -> np.ndarray:
    """Read a map of real numbers, such as saliency, from grey values.

    Args:
        path (str | os.PathLike): File name of a picture of 8 bits, one
            channel: 0 is 0, 255 is 1.

    Returns:
        np.ndarray: (H, W) float32 in [0, 1].

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is damaged, has a palette, another number of bits or
            of channels, or no value but 0 and 1.
    """
    advice = 'write it as a grey PNG of 8 bits, 255 for the highest value'
    with reading(path, 'grey map', advice), Image.open(path) as image:
        _check_kind(image)
        if image.mode != 'L':
            raise ValueError(f'expected grey values of 8 bits, but its mode '
                             f'is {image.mode}')
        grey = np.array(image)
        if grey.max() == 1:
            raise ValueError('no value is above 1, as in a mask of 0 and 1')
    return grey.astype(np.float32) / 255
