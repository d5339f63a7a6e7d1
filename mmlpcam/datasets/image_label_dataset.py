import logging
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log
from mmseg.registry import DATASETS, TASK_UTILS

from mmlpcam.utils.names import listed
from .label_sources import ImageLabelSource, load_labels
from .seg_dataset_wrapper import SegDatasetWrapper

BACKGROUND_NAMES = ('background', 'bg', '_background_', '__background__')
"""Names that class 0 may have, in any case."""


@DATASETS.register_module()
class ImageLabelDataset(SegDatasetWrapper):
    """Add image-level labels to the samples of an MMSeg dataset.

    The metainfo of each data sample gets

    - ``img_labels`` (tuple[int, ...]): sorted 0-based indices of the
      foreground classes of the image, that is ``classes[1:]``; may be empty.
    - ``sample_idx`` (int): index of the sample in the outermost wrapper of
      this package.
    - ``image_id`` (str): see :class:`SegDatasetWrapper`.

    whatever ``meta_keys`` ``PackSegInputs`` is given. The data info holds
    them too.

    Args:
        dataset (dict | BaseDataset): The dataset to wrap, see
            :class:`SegDatasetWrapper`. Its class 0 must be the background.
        labels (dict | ImageLabelSource): The label source, as config or
            instance, such as ``dict(type='VOCXMLLabels', ann_dir=...)``.
        lazy_init (bool): Whether to read labels when they are first needed.
            Defaults to False.
        check_files (bool): Whether to check every image file. Defaults to
            True.

    Raises:
        TypeError: If ``labels`` is neither of the above.
        ValueError: If class 0 is not the background, the dataset has no image,
            the source does not know an image or a class, or no image has a
            label though the dataset has ``test_mode=False``.

    Example:
        >>> train = dict(
        ...     type='ImageLabelDataset',
        ...     dataset=dict(
        ...         type='PascalVOCDataset',
        ...         data_root='data/VOCdevkit/VOC2012',
        ...         ann_file='ImageSets/Segmentation/train.txt',
        ...         data_prefix=dict(img_path='JPEGImages')),
        ...     labels=dict(
        ...         type='VOCXMLLabels',
        ...         ann_dir='data/VOCdevkit/VOC2012/Annotations'))
    """

    meta_keys = ('img_labels', 'sample_idx')

    def __init__(self,
                 dataset: Any,
                 labels: dict | ImageLabelSource,
                 *,
                 lazy_init: bool = False,
                 check_files: bool = True) -> None:
        if isinstance(labels, dict):
            labels = TASK_UTILS.build(labels)
        if not isinstance(labels, ImageLabelSource):
            raise TypeError(
                'ImageLabelDataset: labels must be the config of a label '
                "source, such as dict(type='VOCXMLLabels', ann_dir=...), or "
                f'an ImageLabelSource, but got {type(labels).__name__}')
        self.source = labels
        super().__init__(dataset, lazy_init=True, check_files=check_files)
        classes = self._metainfo.get('classes') or ()
        if not classes or classes[0].lower() not in BACKGROUND_NAMES:
            got = repr(classes[0]) if classes else 'no classes at all'
            raise ValueError(
                'ImageLabelDataset: class 0 of the dataset must be the '
                f'background, named one of {", ".join(BACKGROUND_NAMES)}; '
                f'but got {got}. Set '
                'metainfo=dict(classes=("background", ...))')
        self._foreground = tuple(classes[1:])
        if not lazy_init:
            self.full_init()

    def _init_images(self, images: dict[str, str]) -> None:
        """Check the images and read their labels."""
        super()._init_images(images)
        num_classes = len(self._foreground)
        labels = load_labels(self.source, images, self._foreground)
        counts = np.zeros(num_classes, dtype=np.int64)
        for found in labels.values():
            counts[list(found)] += 1
        # of a test, all images may well show the background alone
        is_test = all(leaf.test_mode for leaf in self._leaf_datasets)
        if not counts.any() and not is_test:
            raise ValueError(
                f'ImageLabelDataset: none of {len(images)} images has a '
                f'label in {self.source!r}: nothing can be learnt or mapped. '
                'Is it the file of these images?')
        self._labels = labels
        self._label_counts = counts
        absent = [
            name for name, count in zip(self._foreground, counts) if not count
        ]
        if absent:
            print_log(
                f'ImageLabelDataset: {len(absent)} of {num_classes} classes '
                f'have no image: {listed(absent, 20)}. They cannot be '
                'learnt',
                logger='current',
                level=logging.WARNING)

    @property
    @force_full_init
    def label_counts(self) -> np.ndarray:
        """Number of images of each foreground class, ``(C,)`` int64.

        An image counts once, however often the dataset repeats it.
        """
        return self._label_counts.copy()

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a sample, for ``ClassBalancedDataset``.

        Args:
            idx (int): Index in [-len, len).

        Returns:
            list[int]: 0-based foreground indices.
        """
        idx = self._positive(idx)
        return list(self.labels_of(self._image_ids[idx]))

    def labels_of(self, image_id: str) -> tuple[int, ...]:
        """Return the labels of an image.

        Args:
            image_id (str): Its id.

        Returns:
            tuple[int, ...]: Sorted 0-based foreground indices.
        """
        self.full_init()
        return self._labels[image_id]

    def _update_info(self, info: dict) -> None:
        info['img_labels'] = self._labels[info['image_id']]
