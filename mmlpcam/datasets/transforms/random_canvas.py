from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCanvasCrop(BaseTransform):
    """Crop to a fixed size, placing small images at random on a canvas.

    The crop of the IRN family (IRN, ReCAM, LPCAM): the output always has
    ``crop_size``. Along each axis on its own, an image longer than the crop
    is cropped at a uniformly random offset, and a shorter one is placed at a
    uniformly random position of the canvas. ``RandomCrop`` followed by
    padding would instead put every small image into the top left corner.

    IRN pads with zero *after* normalisation. Here the image is normalised
    later, by the data preprocessor, so pad with the mean used there: it is
    about 0 after normalisation.

    Required Keys:

    - img
    - seg_fields (optional) and the maps it names

    Modified Keys:

    - img
    - img_shape
    - pad_shape
    - the maps in seg_fields

    Args:
        crop_size (int | tuple[int, int]): Output size ``(h, w)`` in pixels,
            as in ``RandomCrop``; an int is a square.
        img_pad_val (float | Sequence[float]): Value of the canvas, one number
            or one per channel in the channel order of the loaded image. This
            is **BGR** after ``LoadImageFromFile``, so a preprocessor with
            ``bgr_to_rgb=True`` needs its mean reversed here. Rounded for an
            integer image. Defaults to the ImageNet mean, in BGR.
        seg_pad_val (int): Value of the canvas of the maps in ``seg_fields``.
            Defaults to 255, ignored by the losses.

    Raises:
        ValueError: If ``crop_size`` is not one or two positive ints.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        img_pad_val: float | Sequence[float] = (103.53, 116.28, 123.675),
        *,
        seg_pad_val: int = 255,
    ) -> None:
        size = ((crop_size, crop_size)
                if isinstance(crop_size, int) else tuple(crop_size))
        if len(size) != 2 or not all(
                isinstance(n, int) and n > 0 for n in size):
            raise ValueError(
                'RandomCanvasCrop: crop_size must be a positive int or two '
                f'of them (h, w), but got {crop_size!r}')
        self.crop_size = size
        self.img_pad_val = img_pad_val
        self.seg_pad_val = seg_pad_val

    @cache_randomness
    def _offsets(self, height: int, width: int) -> list[tuple[int, int]]:
        """Draw ``(offset in the image, offset in the canvas)`` of y and x."""
        offsets = []
        for length, crop in zip((height, width), self.crop_size):
            # the generator that MMEngine seeds in every worker
            offset = np.random.randint(abs(length - crop) + 1)  # noqa: NPY002
            offsets.append((offset, 0) if length > crop else (0, offset))
        return offsets

    def _place(self, image: np.ndarray, pad_val: float | Sequence[float],
               offsets: list[tuple[int, int]]) -> np.ndarray:
        """Copy the window of ``image`` ``(h, w, ...)`` onto a new canvas."""
        if np.issubdtype(image.dtype, np.integer):
            pad_val = np.rint(pad_val)
        canvas = np.empty(self.crop_size + image.shape[2:], image.dtype)
        canvas[...] = pad_val
        source, target = [], []
        for (start, at), length, crop in zip(offsets, image.shape,
                                             self.crop_size):
            size = min(length, crop)
            source.append(slice(start, start + size))
            target.append(slice(at, at + size))
        canvas[tuple(target)] = image[tuple(source)]
        return canvas

    def transform(self, results: dict) -> dict:
        """Crop or place the image and the maps of one sample.

        Args:
            results (dict): Sample with ``img``, ``(H, W[, 3])``.

        Returns:
            dict: The same dict with the keys named above replaced.

        Raises:
            ValueError: If ``img_pad_val`` does not fit the channels of the
                image, or a map has another size than the image.
        """
        img = results['img']
        channels = 1 if img.ndim == 2 else img.shape[2]
        if np.size(self.img_pad_val) not in (1, channels):
            raise ValueError(
                f'RandomCanvasCrop: img_pad_val has '
                f'{np.size(self.img_pad_val)} values, but the image has '
                f'{channels} channel(s): give one number, or one per channel')
        offsets = self._offsets(*img.shape[:2])
        for key in results.get('seg_fields', []):
            seg = results[key]
            if seg.shape[:2] != img.shape[:2]:
                raise ValueError(
                    f'RandomCanvasCrop: {key!r} has (h, w) '
                    f'{seg.shape[:2]}, but the image has {img.shape[:2]}. '
                    'Every resize before this transform must apply to both')
            results[key] = self._place(seg, self.seg_pad_val, offsets)
        results['img'] = self._place(img, self.img_pad_val, offsets)
        results['img_shape'] = results['pad_shape'] = self.crop_size
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(crop_size={self.crop_size}, '
                f'img_pad_val={self.img_pad_val}, '
                f'seg_pad_val={self.seg_pad_val})')
