from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from mmseg.registry import TASK_UTILS

from mmlpcam.utils.masks import read_index_mask
from ..file_checks import check_values
from .base import ImageLabelSource, Labels
from .image_finder import check_all_labeled
from .label_files import existing_path, label_file


@TASK_UTILS.register_module()
class MaskLabels(ImageLabelSource):
    """Labels from existing index masks, for experiments with full masks.

    The image has class ``v - 1`` for each value ``v`` of
    ``<mask_dir>/<image id><suffix>`` other than 0 and ``ignore_index``.

    Args:
        mask_dir (str): Folder of the masks.
        suffix (str): What follows the image id. Defaults to '.png'.
        ignore_index (int): Value of pixels without a class. Defaults to 255.

    Raises:
        ValueError: If a mask is broken, holds a value that is no class, or all
            are black and white, which :meth:`load` finds.
    """

    def __init__(self,
                 mask_dir: str,
                 suffix: str = '.png',
                 *,
                 ignore_index: int = 255) -> None:
        self.mask_dir = mask_dir
        self.suffix = suffix
        self.ignore_index = ignore_index

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return (label_file(self.mask_dir, image_id, self.suffix)
                for image_id in images)

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        folder = existing_path(
            self.mask_dir, 'MaskLabels: mask_dir', is_folder=True)
        files = {i: label_file(folder, i, self.suffix) for i in images}
        found = {}
        for image_id, path in files.items():
            try:
                found[image_id] = np.unique(read_index_mask(path))
            except FileNotFoundError:  # all of them are named below
                continue
        check_all_labeled(found, images, f'mask_dir {str(folder)!r}',
                          f'Expected one <image id>{self.suffix} for each')
        check_values([str(files[image_id]) for image_id in found],
                     list(found.values()),
                     len(classes) + 1,
                     ignore_index=self.ignore_index)
        return {
            image_id:
            tuple(
                int(value) - 1 for value in values
                if value not in (0, self.ignore_index))
            for image_id, values in found.items()
        }
