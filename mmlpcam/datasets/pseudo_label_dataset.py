import logging
import os.path as osp
from typing import Any

from mmengine.logging import print_log
from mmseg.registry import DATASETS

from mmlpcam.utils import check_no_stage
from mmlpcam.utils.names import listed
from .file_checks import MAX_CLASSES, check_masks
from .image_label_dataset import ImageLabelDataset
from .nesting import has_transform
from .seg_dataset_wrapper import SegDatasetWrapper
from .transforms import LoadPseudoLabel


@DATASETS.register_module()
class PseudoLabelDataset(SegDatasetWrapper):
    """Train on the masks of a folder instead of those of the dataset.

    The mask of an image is ``<label_dir>/<image id><suffix>``: an index mask
    (H, W) uint8 of the size of the image, 0 = background, ``i`` = class ``i``
    of the dataset, 255 = ignore. It is used as it is: a ``label_map`` of the
    dataset does not apply.

    Args:
        dataset (dict | BaseDataset): The dataset to wrap, see
            :class:`SegDatasetWrapper`.
        label_dir (str, optional): Folder of the masks. None: masks that
            :class:`~mmlpcam.engine.PrototypeBankHook` makes while training,
            which names the folder then; images without one are ignored.
        suffix (str): What follows the image id. Defaults to '.png'.
        missing (str): What to do about an image without a mask: ``'error'``,
            or ``'ignore'`` to load an all-ignore mask. It is looked up each
            time a sample is loaded, so masks may appear while training runs.
            The pipeline must then hold ``LoadPseudoLabel`` in the place of
            ``LoadAnnotations``. Defaults to 'error'.
        true_label_dir (str, optional): Folder of true masks of some of the
            images, named and checked like the others. An image with a mask
            there trains on it and needs no other. Defaults to None.
        lazy_init (bool): Whether to wait with the checks until the samples
            are needed. Defaults to False.
        check_files (bool): Whether to check that every image and mask exists,
            is readable and has the same size. Defaults to True.

    Raises:
        FileNotFoundError: If masks are missing, with ``missing='error'``, or
            no image has a true mask.
        ValueError: If an argument does not fit, the dataset has
            ``reduce_zero_label=True``, or a mask is broken or has another size
            than its image.
    """

    replaces_masks = True

    def __init__(self,
                 dataset: Any,
                 label_dir: str | None,
                 *,
                 suffix: str = '.png',
                 missing: str = 'error',
                 true_label_dir: str | None = None,
                 lazy_init: bool = False,
                 check_files: bool = True) -> None:
        check_no_stage(label_dir, 'PseudoLabelDataset: label_dir')
        if missing not in ('error', 'ignore'):
            raise ValueError("PseudoLabelDataset: missing must be 'error' or "
                             f"'ignore', but got {missing!r}")
        if label_dir is None:
            missing = 'ignore'
            if suffix != '.png':
                raise ValueError(
                    'PseudoLabelDataset: masks that are made while training '
                    f"(label_dir=None) have the suffix '.png', but got "
                    f'{suffix!r}')
        self.label_dir = None if label_dir is None else str(label_dir)
        self.suffix = suffix
        self.missing = missing
        check_no_stage(true_label_dir, 'PseudoLabelDataset: true_label_dir')
        self.true_label_dir = true_label_dir
        super().__init__(dataset, lazy_init=True, check_files=check_files)
        for leaf in self._leaf_datasets:
            if missing == 'ignore' and not has_transform(
                    leaf.pipeline, LoadPseudoLabel):
                raise ValueError(
                    "PseudoLabelDataset: missing='ignore' (or label_dir="
                    'None) needs '
                    "dict(type='LoadPseudoLabel') in the pipeline of "
                    f'{type(leaf).__name__}, in the place of '
                    "'LoadAnnotations', which cannot load a mask that does "
                    'not exist')
        if not lazy_init:
            self.full_init()

    def _mask_path(self, image_id: str) -> str:
        return osp.join(self.label_dir, image_id + self.suffix)

    def _true_mask_path(self, image_id: str) -> str | None:
        """Return the true mask of an image, if it has one."""
        if self.true_label_dir is None:
            return None
        path = osp.join(self.true_label_dir, image_id + self.suffix)
        return path if osp.isfile(path) else None

    def has_true_mask(self, image_id: str) -> bool:
        """Whether an image trains on a mask of ``true_label_dir``.

        Args:
            image_id (str): Its id.
        """
        return self._true_mask_path(image_id) is not None

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the image labels of a sample, for ``ClassBalancedDataset``.

        Args:
            idx (int): Index in [-len, len).

        Returns:
            list[int]: 0-based foreground indices.

        Raises:
            TypeError: If there is no :class:`ImageLabelDataset` inside.
        """
        idx = self._positive(idx)
        for each in self._chain(idx):
            if isinstance(each, ImageLabelDataset):
                return list(each.labels_of(self._image_ids[idx]))
        raise TypeError('ClassBalancedDataset needs image labels, which '
                        'PseudoLabelDataset has not: put ImageLabelDataset '
                        'around it, or inside')

    def _init_images(self, images: dict[str, str]) -> None:
        """Check that each mask is there and fits its image."""
        super()._init_images(images)
        if not self.check_files:
            return
        true = {i: self._true_mask_path(i) for i in images}
        true = {i: path for i, path in true.items() if path}
        if self.true_label_dir is not None and not true:
            raise FileNotFoundError(
                f'PseudoLabelDataset: none of {len(images)} images has a mask '
                f'<image id>{self.suffix} in true_label_dir '
                f'{self.true_label_dir!r}. Correct the folder, or leave '
                'true_label_dir out')
        self._check_masks(images, true)
        if self.label_dir is None:
            return
        masks = {i: self._mask_path(i) for i in images if i not in true}
        absent = [i for i, path in masks.items() if not osp.isfile(path)]
        if absent:
            text = (f'{len(absent)} of {len(images)} images have no mask '
                    f'<image id>{self.suffix} in label_dir '
                    f'{self.label_dir!r}: {listed(absent)}')
            if self.missing == 'error':
                raise FileNotFoundError(
                    f'PseudoLabelDataset: {text}. Write the missing ones, or '
                    "set missing='ignore' to leave these images out of the "
                    'loss')
            print_log(
                f'PseudoLabelDataset: {text}. They are ignored in the loss '
                'as long as that is so',
                logger='current',
                level=logging.WARNING)
            for image_id in absent:
                del masks[image_id]
        # masks of PseudoLabelWriter, which has made a manifest, may well be
        # without any class where a model is poor
        made = osp.isfile(
            osp.join(osp.dirname(self.label_dir), 'manifest.json'))
        self._check_masks(images, masks, need_class=not made)

    def _check_masks(self,
                     images: dict[str, str],
                     masks: dict[str, str],
                     need_class: bool = True) -> None:
        """Check masks by their image ids."""
        classes = self._metainfo.get('classes')
        check_masks([images[i] for i in masks],
                    list(masks.values()),
                    MAX_CLASSES if classes is None else len(classes),
                    need_class=need_class)

    def _update_info(self, info: dict) -> None:
        info['label_map'] = None
        info['seg_map_path'] = self._true_mask_path(info['image_id'])
        if info['seg_map_path'] is not None:
            return
        if self.label_dir is None:
            raise RuntimeError(
                'PseudoLabelDataset with label_dir=None waits for '
                'PrototypeBankHook to name the folder: give that hook '
                '`labels`, or set label_dir')
        path = self._mask_path(info['image_id'])
        if self.missing == 'ignore' and not osp.isfile(path):
            path = None
        info['seg_map_path'] = path
