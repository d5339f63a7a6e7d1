import copy
import os.path as osp
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
from mmengine.dataset import (BaseDataset, ClassBalancedDataset, ConcatDataset,
                              RepeatDataset, force_full_init)
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import DATASETS

from .file_checks import (MAX_CLASSES, check_bit_depth, check_images,
                          check_masks, check_num_classes)
from .nesting import check_same_classes, has_transform, no_image_message

# NumPy's words where BaseDataset serialises an empty list.
_EMPTY = 'at least one array to concatenate'


def check_files(dataset: Any) -> None:
    """Check all files that a dataset will load, before they are needed.

    Files on other file systems (``backend_args``), wrappers with
    ``check_files=False`` and datasets of a kind that is not known are left
    alone, and so is what lies inside them.

    Args:
        dataset (Any): Any dataset. Masks are looked at where the pipeline
            loads them.

    Raises:
        FileNotFoundError: If files do not exist.
        ValueError: If files are not readable, a mask does not fit, or a photo
            has more bits than the pipeline keeps.
    """
    if getattr(dataset, 'check_files', True) is False or getattr(
            dataset, 'replaces_masks', False):
        return  # the latter has checked its own; those inside are not loaded
    if not isinstance(dataset, BaseDataset):
        for inner in _inside(dataset):
            check_files(inner)
    elif not getattr(dataset, 'backend_args', None):
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        images = [info['img_path'] for info in infos]
        if has_transform(dataset.pipeline, LoadAnnotations):
            check_masks(
                images, [info['seg_map_path'] for info in infos],
                num_mask_values(dataset),
                ignore_index=dataset.ignore_index)
        else:
            check_images(images)
        check_bit_depth(images, dataset.pipeline)


def num_mask_values(leaf: BaseDataset) -> int:
    """Return how many values the masks of a dataset may have.

    Args:
        leaf (BaseDataset): Dataset of MMSegmentation.

    Returns:
        int: Masks hold 0 to this - 1, before ``label_map`` and
        ``reduce_zero_label`` of the dataset.
    """
    classes = leaf.metainfo.get('classes')
    if classes is None:
        return MAX_CLASSES
    check_num_classes(classes)
    if leaf.label_map:  # from the classes of its kind to those chosen
        return len(leaf.label_map)
    return len(classes) + bool(leaf.reduce_zero_label)


@DATASETS.register_module()
class SegDatasetWrapper:
    """Base of the wrappers that amend the samples of an MMSeg dataset.

    It wraps a ``BaseSegDataset``, also inside MMEngine's ``ConcatDataset``,
    ``RepeatDataset``, ``ClassBalancedDataset`` or another wrapper of this
    kind. A sample is the inner data info, changed by :meth:`_update_info`,
    run through the pipeline of the innermost dataset, and changed by
    :meth:`_update_sample`. Every data info, and the metainfo of every data
    sample, gets an ``image_id``: the path of the image relative to
    ``data_prefix['img_path']``, without extension and with ``/`` between
    folders (the stem where no prefix is known).

    Args:
        dataset (dict | BaseDataset): Config or instance of the dataset.
        lazy_init (bool): Whether to wait with :meth:`full_init` until the
            samples are needed. Defaults to False.
        check_files (bool): Whether :meth:`full_init` checks that every file
            exists and has a readable header; switch it off for files that
            are not on a local disk. Defaults to True.

    Raises:
        TypeError: If ``dataset`` is or holds something else than the above.
        ValueError: If the dataset has no list, no image, more classes than
            masks can hold or ``reduce_zero_label=True``, two images share an
            id, or joined datasets differ in their classes.

    Attributes:
        replaces_masks (bool): Whether samples get masks other than those of
            the wrapped dataset.
        meta_keys (tuple[str, ...]): Keys of the data info that data samples
            get besides ``image_id``.
    """

    replaces_masks = False
    meta_keys: tuple[str, ...] = ()

    def __init__(self,
                 dataset: Any,
                 *,
                 lazy_init: bool = False,
                 check_files: bool = True) -> None:
        if isinstance(dataset, dict):
            try:
                dataset = DATASETS.build(dataset)
            except ValueError as error:
                self._raise_if_empty(error, dataset)
                raise
            except AssertionError as error:  # as of a list that is missing
                raise ValueError(f'{error}. Check `data_root`, or what names '
                                 'it in the environment') from error
        self.dataset = dataset
        self.check_files = check_files
        self._leaf_datasets = list(_leaves(dataset))
        self._metainfo = dataset.metainfo
        check_num_classes(self._metainfo.get('classes') or ())
        check_same_classes(dataset)
        for leaf in self._leaf_datasets:
            if getattr(leaf, 'reduce_zero_label', False):
                raise ValueError(
                    f'{type(self).__name__}: the dataset '
                    f'{type(leaf).__name__} has reduce_zero_label=True, '
                    'which would turn the background, class 0 of all masks, '
                    'into ignore and shift all classes. Set '
                    'reduce_zero_label=False')
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """Copy of the meta information of the wrapped dataset."""
        return copy.deepcopy(self._metainfo)

    @property
    @force_full_init
    def images(self) -> dict[str, str]:
        """Path of every image by its id."""
        return self._images

    @property
    @force_full_init
    def image_ids(self) -> list[str]:
        """Image id of every sample, in the order of the samples.

        An id appears more than once only where a sample does, as inside
        ``RepeatDataset``.
        """
        return self._image_ids

    def full_init(self) -> None:
        """Initialise the wrapped dataset, and index and check its images."""
        if self._fully_initialized:
            return
        try:
            self.dataset.full_init()
        except ValueError as error:
            self._raise_if_empty(error, self.dataset)
            raise
        images: dict[str, str] = {}
        self._image_ids = _index(self.dataset, images)
        if not self._image_ids:
            raise ValueError(no_image_message(self.dataset))
        self._images = images
        self._init_images(images)
        self._fully_initialized = True

    def _init_images(self, images: dict[str, str]) -> None:
        """Check files and load what :meth:`_update_info` needs.

        Args:
            images (dict[str, str]): Path of every image by its id.
        """
        inner = self.dataset
        if self.check_files and not (isinstance(inner, SegDatasetWrapper)
                                     and inner.check_files):
            check_images(list(images.values()))
            for leaf in self._leaf_datasets:
                check_bit_depth([
                    leaf.get_data_info(i)['img_path']
                    for i in range(len(leaf))
                ], leaf.pipeline)

    def _update_info(self, info: dict) -> None:
        """Change a data info, with its ``image_id``, in place."""

    def _update_sample(self, sample: Any, info: dict) -> None:
        """Change a sample in place, after the pipeline.

        Args:
            sample (Any): What the pipeline returned.
            info (dict): The data info that went into the pipeline.
        """
        # A pipeline without PackSegInputs has no data sample; one with
        # test-time augmentation has a list.
        packed = sample.get('data_samples', [])
        for item in packed if isinstance(packed, list) else [packed]:
            item.set_metainfo(
                {key: info[key]
                 for key in ('image_id', *self.meta_keys)})

    @staticmethod
    def _raise_if_empty(error: ValueError, dataset: Any) -> None:
        """Put the failure of an empty ``BaseDataset`` into words."""
        if _EMPTY in str(error):
            raise ValueError(no_image_message(dataset)) from error

    def _chain(self, idx: int) -> list[Any]:
        """Return the datasets that sample ``idx`` comes through."""
        dataset, chain = self, []
        while True:
            chain.append(dataset)
            if isinstance(dataset, SegDatasetWrapper):
                dataset = dataset.dataset
            elif isinstance(dataset, ConcatDataset):
                which, idx = dataset._get_ori_dataset_idx(idx)
                dataset = dataset.datasets[which]
            elif isinstance(dataset, RepeatDataset | ClassBalancedDataset):
                idx = dataset._get_ori_dataset_idx(idx)
                dataset = dataset.dataset
            else:
                return chain

    @force_full_init
    def __len__(self) -> int:
        return len(self._image_ids)

    def _positive(self, idx: int) -> int:
        """Return ``idx`` counted from the front."""
        total = len(self)
        if not -total <= idx < total:
            raise IndexError(
                f'{type(self).__name__}: index {idx} is out of range for '
                f'{total} samples')
        return int(idx) % total

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return the amended data info of a sample.

        Args:
            idx (int): Index in [-len, len).

        Returns:
            dict: The info of the wrapped dataset with ``image_id`` and what
            the wrappers add. ``sample_idx`` is the index in this dataset.

        Raises:
            IndexError: If ``idx`` is out of range.
        """
        idx = self._positive(idx)
        info = self.dataset.get_data_info(idx)
        info['sample_idx'] = idx
        info['image_id'] = self._image_ids[idx]
        self._update_info(info)
        return info

    def _load(self, idx: int) -> Any:
        """Run the pipeline for one sample; None where it gives up."""
        image = mask = None
        try:
            chain = self._chain(idx)
            info = self.get_data_info(idx)
            image, mask = info.get('img_path'), info.get('seg_map_path')
            # the copy: a pipeline may change or drop any key
            sample = chain[-1].pipeline(dict(info))
            if sample is not None:
                for dataset in reversed(chain):
                    if isinstance(dataset, SegDatasetWrapper):
                        dataset._update_sample(sample, info)
            return sample
        except Exception as error:
            raise RuntimeError(
                f'{type(self).__name__}: sample {idx} cannot be loaded '
                f'(image {image}, mask {mask}): '
                f'{type(error).__name__}: {error}') from error

    def __getitem__(self, idx: int) -> Any:
        """Return a sample after the pipeline.

        A training pipeline may return None to ask for another sample; a
        random one is then taken, at most ``max_refetch`` times.

        Args:
            idx (int): Index in [-len, len).

        Returns:
            Any: What the pipeline returns, amended by the wrappers.

        Raises:
            IndexError: If ``idx`` is out of range.
            RuntimeError: If the sample cannot be loaded; the message names the
                image and the mask, and the cause is chained.
        """
        idx = self._positive(idx)
        leaf = self._chain(idx)[-1]
        tries = 1 if leaf.test_mode else leaf.max_refetch + 1
        for _ in range(tries):
            sample = self._load(idx)
            if sample is not None:
                return sample
            failed = idx
            # the generator that MMEngine seeds in every worker
            idx = np.random.randint(len(self))  # noqa: NPY002
        raise RuntimeError(
            f'{type(self).__name__}: the pipeline returned None for sample '
            f'{failed} (image {self.get_data_info(failed)["img_path"]}), ' +
            ('which a test pipeline must not do' if leaf.test_mode else
             f'and max_refetch={leaf.max_refetch} is used up. Check the '
             'images and the pipeline'))

    def get_subset_(self, indices: Sequence[int] | int) -> NoReturn:
        """Refuse: see :meth:`get_subset`."""
        self.get_subset(indices)

    def get_subset(self, indices: Sequence[int] | int) -> NoReturn:
        """Refuse, since the subset of a wrapper is ambiguous."""
        raise NotImplementedError(
            f'{type(self).__name__} does not support get_subset and '
            'get_subset_: set `indices` of the wrapped dataset, or take the '
            'subset there before wrapping it')


def _inside(dataset: Any) -> list[Any]:
    """Return the datasets that one of a known kind wraps."""
    if isinstance(dataset, ConcatDataset):
        return dataset.datasets
    if isinstance(dataset, SegDatasetWrapper | RepeatDataset
                  | ClassBalancedDataset):
        return [dataset.dataset]
    return []


def _leaves(dataset: Any) -> Iterator[BaseDataset]:
    """Yield the innermost datasets."""
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    inner = _inside(dataset)
    if not inner:
        raise TypeError(
            'expected an MMSeg dataset (config or instance), alone or inside '
            'ConcatDataset, RepeatDataset, ClassBalancedDataset or a wrapper '
            f'of mmlpcam, but got {type(dataset).__name__}. Put other '
            'wrappers around this one instead')
    for each in inner:
        yield from _leaves(each)


def _index(dataset: Any, images: dict[str, str]) -> list[str]:
    """Return the id of every sample and add the images to ``images``."""
    if isinstance(dataset, ConcatDataset):
        return [i for inner in dataset.datasets for i in _index(inner, images)]
    if isinstance(dataset, SegDatasetWrapper):
        return _index(dataset.dataset, images)
    if isinstance(dataset, RepeatDataset):
        return _index(dataset.dataset, images) * dataset.times
    if isinstance(dataset, ClassBalancedDataset):
        ids = _index(dataset.dataset, images)
        return [ids[i] for i in dataset.repeat_indices]
    prefix = (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
    ids = []
    for idx in range(len(dataset)):
        path = dataset.get_data_info(idx)['img_path']
        image_id = _relative_id(path, prefix)
        if image_id in images:
            raise ValueError(
                f'two images share the id {image_id!r}: '
                f'{images[image_id]!r} and {path!r}. Labels and masks are '
                'found by id, so it must be unique: remove the second entry '
                '(RepeatDataset shows an image more often), rename one file, '
                "or set data_prefix['img_path'] to a folder above both")
        images[image_id] = path
        ids.append(image_id)
    return ids


def _relative_id(path: str, prefix: str | None) -> str:
    """Return the image id of a path."""
    relative = osp.relpath(path, prefix) if prefix else osp.basename(path)
    if relative.split(osp.sep, 1)[0] == osp.pardir:
        raise ValueError(
            f'image {path!r} lies outside of data_prefix[\'img_path\']='
            f'{prefix!r}: its labels and masks would lie outside of their '
            'folders too. Correct the list, or set img_path to a folder '
            'above all images')
    return osp.splitext(relative)[0].replace(osp.sep, '/')
