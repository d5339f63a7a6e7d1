import numpy as np
from mmseg.registry import TASK_UTILS
from PIL import Image

from .base import (ImageIndex, ImageLabelSource, Labels, check_known, existing,
                   file_of)


@TASK_UTILS.register_module()
class MaskLabels(ImageLabelSource):
    """Labels from existing index masks, for experiments with full masks.

    The image has class ``v - 1`` for each value ``v`` of
    ``<mask_dir>/<image id><suffix>`` other than 0 and ``ignore_index``.

    Args:
        mask_dir (str): Folder of the masks.
        suffix (str): What follows the image id. Defaults to '.png'.
        ignore_index (int): Value of pixels without a class. Defaults to 255.
    """

    def __init__(self,
                 mask_dir: str,
                 suffix: str = '.png',
                 *,
                 ignore_index: int = 255) -> None:
        self.mask_dir = mask_dir
        self.suffix = suffix
        self.ignore_index = ignore_index

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        folder = existing(self.mask_dir, 'MaskLabels: mask_dir', folder=True)
        labels, unknown = {}, []
        for image_id in image_ids:
            path = file_of(folder, image_id, self.suffix)
            try:
                with Image.open(path) as image:
                    mask = np.asarray(image)
            except FileNotFoundError:
                unknown.append(image_id)
                continue
            except (OSError, SyntaxError) as error:
                raise ValueError(
                    f'{path}: not a readable image: {error}') from error
            if mask.ndim != 2:
                raise ValueError(
                    f'{path}: expected an index mask with one channel, got '
                    f'shape {mask.shape}; a colour mask must be converted to '
                    'class indices first.')
            values = np.unique(mask).astype(np.int64)
            values = values[(values != 0) & (values != self.ignore_index)]
            wrong = values[(values < 0) | (values > len(classes))]
            if wrong.size:
                raise ValueError(
                    f'{path}: value {wrong[0]} is out of range; expected 0 '
                    f'(background), 1 to {len(classes)}, or '
                    f'{self.ignore_index} (ignore).')
            labels[image_id] = tuple((values - 1).tolist())
        check_known(unknown, ImageIndex(image_ids),
                    f'mask_dir {str(folder)!r}',
                    f'Expected one <image id>{self.suffix} for each.')
        return labels
