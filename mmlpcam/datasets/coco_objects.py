from typing import Any

from mmseg.registry import DATASETS

from mmlpcam.utils.masks import voc_colormap
from .path_checked_dataset import PathCheckedDataset

CLASSES = ('background', 'person', 'bicycle', 'car', 'motorcycle', 'airplane',
           'bus', 'train', 'truck', 'boat', 'traffic light', 'fire hydrant',
           'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog',
           'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe',
           'backpack', 'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee',
           'skis', 'snowboard', 'sports ball', 'kite', 'baseball bat',
           'baseball glove', 'skateboard', 'surfboard', 'tennis racket',
           'bottle', 'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl',
           'banana', 'apple', 'sandwich', 'orange', 'broccoli', 'carrot',
           'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch',
           'potted plant', 'bed', 'dining table', 'toilet', 'tv', 'laptop',
           'mouse', 'remote', 'keyboard', 'cell phone', 'microwave', 'oven',
           'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase',
           'scissors', 'teddy bear', 'hair drier', 'toothbrush')
"""tuple[str, ...]: Class names by mask value, background first."""

CATEGORY_IDS = (*range(1, 12), *range(13, 26), 27, 28, *range(31, 45),
                *range(46, 66), 67, 70, *range(72, 83), *range(84, 91))
"""tuple[int, ...]: COCO's category id of each class but the background."""

CATEGORY_TO_CLASS = {
    category: index
    for index, category in enumerate(CATEGORY_IDS, start=1)
}
"""dict[int, int]: Mask value, in [1, 80], of each category id, in [1, 90]."""


@DATASETS.register_module()
class COCOObjectsDataset(PathCheckedDataset):
    """MS COCO with its 80 object categories and a background: 81 classes.

    The classes are the categories of the instances files in ascending id, as
    in the literature on image-level labels; not those of COCO-Stuff. It works
    for 2014 and 2017, whose file names differ
    (``COCO_train2014_000000000009.jpg``, ``000000000009.jpg``).
    ``tools/dataset_converters/coco_objects.py`` makes the masks. They are
    only needed for scores: image labels come from
    :class:`~mmlpcam.datasets.COCOJSONLabels`.

    Args:
        data_prefix (dict): Folder of the images, ``img_path``, and, where
            masks are loaded, of the masks, ``seg_map_path``; both relative to
            ``data_root``.
        ann_file (str): List of image names without suffix, relative to
            ``data_root``. Defaults to '', which takes all images of the
            folder.
        img_suffix (str): Suffix of the images. Defaults to '.jpg'.
        seg_map_suffix (str): Suffix of the masks. Defaults to '.png'.
        **kwargs: Other arguments of :class:`mmseg.datasets.BaseSegDataset`,
            which refuses unknown ones.

    Raises:
        FileNotFoundError: If the list or a folder is missing.

    Example:
        >>> dataset = COCOObjectsDataset(
        ...     dict(img_path='val2017', seg_map_path='masks/val2017'),
        ...     data_root='data/coco')  # doctest: +SKIP
    """

    METAINFO = dict(classes=CLASSES, palette=voc_colormap(len(CLASSES)))
    advice = ('images are those of https://cocodataset.org, masks are made '
              'with `python tools/dataset_converters/coco_objects.py '
              'INSTANCES_JSON MASK_FOLDER`; else correct `data_root` or '
              '`data_prefix`')

    def __init__(self,
                 data_prefix: dict,
                 *,
                 ann_file: str = '',
                 img_suffix: str = '.jpg',
                 seg_map_suffix: str = '.png',
                 **kwargs: Any) -> None:
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            data_prefix=data_prefix,
            **kwargs)
