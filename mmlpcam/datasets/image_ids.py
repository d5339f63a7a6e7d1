"""One numbering of images, whatever is wrapped around a dataset."""
import os.path as osp
from typing import Any

from .nesting import nested_datasets
from .pseudo_label_dataset import PseudoLabelDataset
from .seg_dataset_wrapper import SegDatasetWrapper


def with_image_ids(dataset: Any) -> SegDatasetWrapper:
    """Give a dataset ``image_ids``, and samples the index that they have.

    Inside MMEngine's ``ConcatDataset``, ``RepeatDataset`` and
    ``ClassBalancedDataset`` each dataset counts its samples from zero. Around
    them, a wrapper of this package counts for all.

    Args:
        dataset (Any): Any dataset.

    Returns:
        SegDatasetWrapper: The dataset itself where it is one of these.

    Raises:
        TypeError: If it is of a kind that says nothing about its images,
            such as PyTorch's ``Subset`` or MMSegmentation's
            ``MultiImageMixDataset``.
        ValueError: If two images share an id.
    """
    if isinstance(dataset, SegDatasetWrapper):
        return dataset
    # what is inside has been checked by its own wrapper
    return SegDatasetWrapper(dataset, check_files=False)


def check_shared_masks(dataset: Any) -> None:
    """Refuse images that would read the mask of another one.

    Masks are found by image id. In one dataset ids are unique, but joined
    ones may have equal file names in different folders.

    Args:
        dataset (Any): Any dataset.

    Raises:
        ValueError: If two images have one mask in the same folder.
    """
    seen: dict[tuple[str, str], str] = {}
    for reader in nested_datasets(dataset):
        if not isinstance(reader, PseudoLabelDataset):
            continue
        for image_id, path in reader.images.items():
            folder = (
                reader.true_label_dir
                if reader.has_true_mask(image_id) else reader.label_dir)
            key = ('' if folder is None else osp.realpath(folder), image_id)
            if seen.setdefault(key, path) != path:
                raise ValueError(
                    f'two images share the id {image_id!r}, and so a mask in '
                    f'{folder or "the labels"}: {seen[key]!r} and '
                    f'{path!r}. Rename one file, or set '
                    "data_prefix['img_path'] to a folder above both")
