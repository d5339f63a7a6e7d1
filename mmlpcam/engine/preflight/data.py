"""Datasets, loaders and evaluators of a run, without its model."""
import copy
import inspect
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.evaluation import IoUMetric
from mmseg.registry import DATASETS, METRICS
from torch.utils.data import DataLoader

from mmlpcam.datasets import (ImageLabelDataset, PseudoLabelDataset,
                              check_files, check_shared_masks, nested_datasets,
                              with_image_ids)
from mmlpcam.datasets.nesting import check_same_classes, folded
from mmlpcam.evaluation import CAMIoUMetric
from mmlpcam.utils.names import listed
from .common import LATER, check_arguments, named, texts


class Split(NamedTuple):
    """The data of one loop.

    Attributes:
        dataset (Any): The dataset.
        loader (DataLoader): Its loader, or one of that form around numbers.
        whole (bool): Whether the images are known.
        ready (bool): Whether samples can be loaded: no file of an earlier
            stage is missing, and no mask is made while training runs.
    """
    dataset: Any
    loader: DataLoader
    whole: bool
    ready: bool


def build_split(cfg: Config, name: str) -> Split:
    """Build a loader and its dataset, without the masks of earlier stages.

    Args:
        cfg (Config): Config of the run, with :data:`LATER` for these.
        name (str): 'train', 'val' or 'test'.

    Returns:
        Split: What was built.

    Raises:
        FileNotFoundError: If other files are missing.
        TypeError: If an argument is not known.
        ValueError: If anything else is not right.
    """
    loader = cfg[f'{name}_dataloader']
    with named(f'{name}_dataloader'):
        wanted = loader['dataset']
        if not isinstance(wanted, Mapping):
            raise TypeError('`dataset` must be a dict with `type`, but is '
                            f'{wanted!r}')
        num_later = sum(text.startswith(LATER) for text in texts(wanted))
        dataset = DATASETS.build(_lazy(wanted))
        check_same_classes(dataset)
        readers = {
            each: each.label_dir
            for each in nested_datasets(dataset)
            if isinstance(each, PseudoLabelDataset)
            and str(each.label_dir).startswith(LATER)
        }
        whole = num_later == len(readers)
        if whole:
            # all but these masks can be checked
            for reader in readers:
                reader.label_dir = None
            if hasattr(dataset, 'full_init'):
                dataset.full_init()
            for reader, label_dir in readers.items():
                reader.label_dir = label_dir
            check_files(dataset)
            check_shared_masks(dataset)
        built = Runner.build_dataloader(
            {
                **copy.deepcopy(loader.to_dict()), 'dataset':
                dataset if whole else range(1 << 20)
            },
            seed=0)
    # joint training makes its masks while it runs
    waits = any(
        isinstance(each, PseudoLabelDataset) and each.label_dir is None
        for each in nested_datasets(dataset))
    return Split(dataset, built, whole, not num_later and not waits)


def _lazy(node: Any) -> Any:
    """Build what depends on files of earlier stages without them."""
    if isinstance(node, Mapping):
        copied = {key: _lazy(value) for key, value in node.items()}
        if 'type' in node and any(
                text.startswith(LATER) for text in texts(node)):
            kind = DATASETS.get(node['type']) if isinstance(
                node['type'], str) else node['type']
            # label sources have a type too, and none of these
            if kind and 'lazy_init' in inspect.signature(kind).parameters:
                copied['lazy_init'] = True
        return copied
    if isinstance(node, list | tuple):
        return type(node)(_lazy(value) for value in node)
    return copy.deepcopy(node)


def smallest_batch(split: Split) -> int:
    """Return how few photos a batch of a process may have.

    Args:
        split (Split): The training data.

    Returns:
        int: At least 1.

    Raises:
        ValueError: If there is no batch at all.
    """
    loader = split.loader
    size, sampler = loader.batch_size, loader.sampler
    # one of the user may do anything; InfiniteSampler never comes to an end
    if size is None or not split.whole or isinstance(sampler, InfiniteSampler):
        return size or 2
    share = len(sampler)
    if share < size and loader.drop_last:
        raise ValueError(
            f'there is no batch: of {len(split.dataset)} photos each of '
            f'{get_world_size()} processes has {share}, fewer than '
            f'batch_size={size}, and drop_last=True drops them. Set '
            'batch_size lower, or use fewer processes')
    return size if loader.drop_last else share % size or size


def check_evaluator(cfg: Config, name: str, split: Split) -> None:
    """Build the metrics, and look for what they need.

    Args:
        cfg (Config): Config of the run.
        name (str): 'val' or 'test'.
        split (Split): The data of the loop.

    Raises:
        TypeError: If an argument is not known, or labels cannot be written
            for a dataset of this kind.
        ValueError: If there are no true masks, or anything else is not
            right.
    """
    metrics = cfg.get(f'{name}_evaluator')
    metrics = [metrics] if isinstance(metrics, Mapping) else metrics
    for metric in metrics:
        if not isinstance(metric, Mapping):
            continue
        with named(f'{name}_evaluator'):
            check_arguments(METRICS, metric)
            if metric['type'] == 'PseudoLabelWriter':
                if split.whole:
                    with_image_ids(split.dataset)
                continue  # building it makes its folder
            built = METRICS.build({
                key: value
                for key, value in metric.items() if key != 'output_dir'
            })
        if not split.ready or not len(split.dataset):
            continue
        with named(f'{name}_dataloader'):
            sample = split.dataset[0].get('data_samples', ())
            sample = sample[0] if isinstance(sample, list) else sample
            if isinstance(built, IoUMetric | CAMIoUMetric) and not getattr(
                    built, 'format_only',
                    False) and 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'{metric["type"]} needs true masks, but the pipeline '
                    'loads none: add LoadAnnotations, and the folder of the '
                    'masks')


def same_classes(datasets: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the classes of a run, which all its datasets share.

    Args:
        datasets (dict[str, Any]): Datasets by the name of the setting.

    Returns:
        tuple[str, ...] | None: Classes, if any dataset has some.

    Raises:
        ValueError: If they differ.
    """
    first: tuple[str, tuple[str, ...]] | None = None
    for name, dataset in datasets.items():
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if not classes:
            continue
        if first is None:
            first = name, tuple(classes)
        elif folded(classes) != folded(first[1]):
            raise ValueError(f'{first[0]} and {name} differ in their classes: '
                             f'{list(first[1])} and {list(classes)}')
    return None if first is None else first[1]


def warn_of_tags(dataset: Any) -> None:
    """Warn of a class that is on every photo.

    Args:
        dataset (Any): The training data.
    """
    for each in nested_datasets(dataset):
        if not isinstance(each, ImageLabelDataset):
            continue
        total = len(each.images)
        names = [
            name for name, count in zip(each.metainfo['classes'][1:],
                                        each.label_counts) if count == total
        ]
        if names:
            print_log(
                f'{listed(names)} is on every one of {total} photos: there is '
                'nothing to tell it from, so its maps will cover whole '
                'photos. Add photos without it',
                logger='current',
                level=logging.WARNING)
