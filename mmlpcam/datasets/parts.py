# Copyright (c) mmlpcam contributors. Licensed under Apache-2.0.
from typing import Any

from mmseg.registry import DATASETS

from .path_checked_dataset import PathCheckedDataset

CLASSES = ('background', 'beacon', 'buoy', 'glider', 'kite', 'rover')
"""tuple[str, ...]: Class names by mask value, background first."""

PALETTE = [[0, 0, 0], [230, 159, 0], [213, 94, 0], [86, 180, 233],
           [204, 121, 167], [0, 158, 115]]
"""list[list[int]]: RGB colour of each mask value (Okabe and Ito's set)."""


@DATASETS.register_module()
class PartsDataset(PathCheckedDataset):
    """The generated *parts* dataset, in the folder layout of PASCAL VOC.

    ``tools/dataset_converters/make_parts_dataset.py`` makes it in seconds on
    any machine. Five classes of objects, each a small telling part on a large
    body; see :mod:`mmlpcam.converters.parts`.

    Args:
        ann_file (str): List of image names, relative to ``data_root``, for
            instance 'ImageSets/Segmentation/train.txt'.
        img_suffix (str): Suffix of the images. Defaults to '.jpg'.
        seg_map_suffix (str): Suffix of the masks. Defaults to '.png'.
        data_prefix (dict, optional): Folders of images and masks, relative
            to ``data_root``. Defaults to None, which means 'JPEGImages' and
            'SegmentationClass'.
        **kwargs: Other arguments of :class:`mmseg.datasets.BaseSegDataset`,
            which refuses unknown ones.

    Raises:
        FileNotFoundError: If the list or a folder is missing.

    Example:
        >>> dataset = PartsDataset(
        ...     ann_file='ImageSets/Segmentation/val.txt',
        ...     data_root='data/parts')  # doctest: +SKIP
    """

    METAINFO = {'classes': CLASSES, 'palette': PALETTE}
    advice = ('make the dataset with `python tools/dataset_converters/'
              'make_parts_dataset.py DATA_ROOT` or correct `data_root`')

    def __init__(self,
                 ann_file: str,
                 *,
                 img_suffix: str = '.jpg',
                 seg_map_suffix: str = '.png',
                 data_prefix: dict | None = None,
                 **kwargs: Any) -> None:
        if data_prefix is None:
            data_prefix = {
                'img_path': 'JPEGImages',
                'seg_map_path': 'SegmentationClass'
            }
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            data_prefix=data_prefix,
            **kwargs)
