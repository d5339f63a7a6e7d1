"""Index masks as PNG files."""
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .files import atomic_path


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
        mask (np.ndarray): Class indices, (H, W) uint8.
        palette (Sequence[Sequence[int]], optional): RGB colour per class.
            Defaults to None: those of PASCAL VOC.
    """
    # always 256 colours: Pillow packs fewer into 4 bits or less, which cuts
    # the values
    given = list(palette or ())
    colors = given + voc_colormap()[len(given):]
    image = Image.fromarray(mask).convert('P')
    image.putpalette(np.ravel(colors).tolist())
    with atomic_path(path) as tmp:
        image.save(tmp)


def read_index_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a mask of class indices, with or without a palette.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        np.ndarray: Class indices, (H, W) uint8.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image, or one of several channels.
    """
    try:
        with Image.open(path) as image:
            mask = np.array(image)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:
        raise ValueError(f'{path}: not a readable image: {error}') from error
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(
            f'{path}: expected an index mask, (H, W) uint8, but got '
            f'{mask.dtype} of shape {mask.shape}: is it a colour image?')
    return mask
