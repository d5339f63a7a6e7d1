import logging
import os.path as osp
from typing import Any

from mmengine.logging import print_log
from mmseg.registry import DATASETS

from mmlpcam.utils import check_no_stage
from .image_label_sources import listed
from .transforms import LoadPseudoLabel
from .wrappers import SegDatasetWrapper, check_masks, has_transform


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
        label_dir (str): Folder of the masks.
        suffix (str): What follows the image id. Defaults to '.png'.
        missing (str): What to do about an image without a mask: ``'error'``,
            or ``'ignore'`` to load an all-ignore mask. It is looked up each
            time a sample is loaded, so masks may appear while training runs.
            The pipeline must then hold ``LoadPseudoLabel`` in the place of
            ``LoadAnnotations``. Defaults to 'error'.
        lazy_init (bool): Whether to wait with the checks until the samples
            are needed. Defaults to False.
        check_files (bool): Whether to check that every image and mask exists,
            is readable and has the same size. Defaults to True.

    Raises:
        FileNotFoundError: Masks are missing, with ``missing='error'``.
        ValueError: An argument does not fit, the dataset has
            ``reduce_zero_label=True``, or a mask is broken or has another
            size than its image.
    """

    def __init__(self,
                 dataset: Any,
                 label_dir: str,
                 *,
                 suffix: str = '.png',
                 missing: str = 'error',
                 lazy_init: bool = False,
                 check_files: bool = True) -> None:
        check_no_stage(label_dir, 'PseudoLabelDataset: label_dir')
        if missing not in ('error', 'ignore'):
            raise ValueError("PseudoLabelDataset: missing must be 'error' or "
                             f"'ignore', got {missing!r}.")
        self.label_dir = str(label_dir)
        self.suffix = suffix
        self.missing = missing
        super().__init__(dataset, lazy_init=True, check_files=check_files)
        for leaf in self._leaf_datasets:
            if getattr(leaf, 'reduce_zero_label', False):
                raise ValueError(
                    'PseudoLabelDataset: the dataset '
                    f'{type(leaf).__name__} has reduce_zero_label=True, '
                    'which would turn the background, class 0 of a pseudo '
                    'label, into ignore and shift all classes. Set '
                    'reduce_zero_label=False.')
            if missing == 'ignore' and not has_transform(
                    leaf.pipeline, LoadPseudoLabel):
                raise ValueError(
                    "PseudoLabelDataset: missing='ignore' needs "
                    "dict(type='LoadPseudoLabel') in the pipeline of "
                    f'{type(leaf).__name__}, in the place of '
                    "'LoadAnnotations', which cannot load a mask that does "
                    'not exist.')
        if not lazy_init:
            self.full_init()

    def _mask_path(self, image_id: str) -> str:
        return osp.join(self.label_dir, image_id + self.suffix)

    def _prepare(self, images: dict[str, str]) -> None:
        """Check that each mask is there and fits its image."""
        super()._prepare(images)
        if not self.check_files:
            return
        masks = {image_id: self._mask_path(image_id) for image_id in images}
        absent = [i for i, path in masks.items() if not osp.isfile(path)]
        if absent:
            text = (f'{len(absent)} of {len(images)} images have no mask '
                    f'<image id>{self.suffix} in label_dir '
                    f'{self.label_dir!r}: {listed(absent)}')
            if self.missing == 'error':
                raise FileNotFoundError(
                    f'PseudoLabelDataset: {text}. Write the missing ones, or '
                    "set missing='ignore' to leave these images out of the "
                    'loss.')
            print_log(
                f'PseudoLabelDataset: {text}. They are ignored in the loss '
                'as long as that is so.',
                logger='current',
                level=logging.WARNING)
            for image_id in absent:
                del masks[image_id]
        check_masks([images[i] for i in masks], list(masks.values()))

    def _amend(self, info: dict) -> None:
        path = self._mask_path(info['image_id'])
        if self.missing == 'ignore' and not osp.isfile(path):
            path = None
        info['seg_map_path'] = path
        info['label_map'] = None
