"""Photos as arrays."""
import os
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from .files import atomic_path, reading

_ORIENTATION = 0x0112  # EXIF tag; 5 to 8 turn the image by 90 degrees
_SIZE_TAGS = (256, 257)  # of TIFF: width and height
_BITS_TAG = 258  # of TIFF: bits of each channel
# Bits that a sensor may use of the 16 of a file.
_BIT_DEPTHS = (8, 10, 12, 14, 16)
# Where a PNG says how many bits a channel has: Pillow does not for colours.
_PNG_DEPTH = slice(24, 25)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image that is open, 1 to 8.

    Args:
        image (Image.Image): Image; its pixels are not read.

    Returns:
        int: 1 for upright, also where the image says nothing.
    """
    # asking a PNG for EXIF that it has not read yet decodes it
    if image.format == 'TIFF' or 'exif' in image.info:
        return image.getexif().get(_ORIENTATION, 1)
    return 1


def photo_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read the size of a photo from its header.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        tuple[int, int]: ``(width, height)`` as :func:`read_photo` gives it.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no photo, or one of real numbers.
    """
    with reading(path, 'photo'), Image.open(path) as image:
        _check_mode(image)
        size = image.size
        if isinstance(image,
                      TiffImageFile):  # some versions of Pillow turn the size
            size = tuple(image.tag_v2[tag] for tag in _SIZE_TAGS)
        return size[::-1] if orientation(image) >= 5 else size


def has_sixteen_bits(path: str | os.PathLike) -> bool:
    """Tell from its header if a PNG or TIFF has more than 8 bits a channel.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        bool: Whether it has; False for all other formats.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no photo.
    """
    with reading(path, 'photo'), Image.open(path) as image:
        if image.format == 'PNG':
            with open(path, 'rb') as file:
                return file.read(32)[_PNG_DEPTH] == b'\x10'
        return (isinstance(image, TiffImageFile)
                and max(image.tag_v2.get(_BITS_TAG, (1, ))) > 8)


def read_photo(path: str | os.PathLike) -> np.ndarray:
    """Read a photo as it is meant to be seen.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        np.ndarray: Pixels (H, W, 3) uint8, BGR, see :func:`decode_photo`.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is damaged, or no photo.
    """
    with reading(path, 'photo'):
        return decode_photo(Path(path).read_bytes())


def decode_photo(content: bytes) -> np.ndarray:
    """Decode the content of an image file.

    It is turned as its EXIF orientation asks for; grey becomes three equal
    channels, and transparency is dropped. 16 bits are scaled to 8 by the
    number of bits in use (8, 10, 12, 14 or 16: the least that hold the
    largest value), since sensors fill only a part of them: the high byte
    of a photo of 12 bits would be black.

    Args:
        content (bytes): The file.

    Returns:
        np.ndarray: Pixels (H, W, 3) uint8, BGR.

    Raises:
        OSError | ValueError: If it is damaged, or no photo.
    """
    with Image.open(BytesIO(content)) as image:
        _check_mode(image)
        turn = orientation(image)
        if isinstance(image, TiffImageFile) and turn != 1:
            return _decode_turned_tiff(image)
        if image.format == 'JPEG' and image.mode in ('L', 'RGB'):
            # the same pixels as OpenCV's, which reads damaged files as well
            return _upright(_bgr(image), turn)
        photo = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR
            | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
        if photo is None:
            image.load()  # says what is wrong, if it is damaged
            raise ValueError(f'{image.format} of mode {image.mode} cannot be '
                             'decoded: save it with 8 bits a channel')
    if photo.dtype == np.uint16:
        top = int(photo.max())
        used = next(bits for bits in _BIT_DEPTHS if top < 1 << bits)
        photo = np.round(photo * (255 / ((1 << used) - 1))).astype(np.uint8)
    return _upright(photo, turn)


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write a picture; the suffix chooses the format.

    Args:
        path (str | os.PathLike): File name. The file appears whole.
        picture (np.ndarray): Pixels (H, W, 3) uint8, RGB.

    Raises:
        OSError: If it cannot be written.
    """
    with atomic_path(path) as tmp:
        Image.fromarray(picture).save(tmp, quality=95)


def _check_mode(image: Image.Image) -> None:
    if image.mode == 'F':
        raise ValueError('its pixels are real numbers, whose black and white '
                         'are not known: save it with 8 or 16 bits a channel')


def _decode_turned_tiff(image: TiffImageFile) -> np.ndarray:
    """Read a TIFF with an orientation, which OpenCV turns now and then."""
    if max(image.tag_v2.get(_BITS_TAG, (1, ))) > 8:
        raise ValueError('a TIFF of 16 bits with an orientation cannot be '
                         'decoded: save it upright')
    return _bgr(image)  # Pillow turns TIFFs itself


def _bgr(image: Image.Image) -> np.ndarray:
    image.load()
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


def _upright(photo: np.ndarray, turn: int) -> np.ndarray:
    """Apply an EXIF orientation to (H, W, 3) pixels."""
    if turn >= 5:
        photo = photo.transpose(1, 0, 2)
    # what is left to do is a flip of rows, of columns or of both
    if turn in (3, 4, 7, 8):
        photo = photo[::-1]
    if turn in (2, 3, 6, 7):
        photo = photo[:, ::-1]
    return np.ascontiguousarray(photo)
