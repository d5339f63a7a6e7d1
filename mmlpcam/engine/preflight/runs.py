"""All checks of the runs to come, in their order."""
import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from mmlpcam.datasets import with_image_ids
from mmlpcam.utils.names import listed
from ..hooks import PrototypeBankHook
from ..prototype_builder import PrototypeBuilder
from ..stage_inputs import PREFIX, stage_of, walk
from .common import LATER, named, texts
from .data import (Split, build_split, check_evaluator, same_classes,
                   smallest_batch, warn_of_tags)
from .model import ModelCheck
from .settings import (build_hooks, check_bank, check_checkpoints,
                       check_groups, check_names, check_training)
from .weights import check_weights

_NUM_SAMPLES = 2  # that are loaded


class Run(NamedTuple):
    """A run to look at.

    Attributes:
        name (str): Name of the stage; '' for a run without stages.
        task (str): 'train' or 'test'.
        cfg (Config): Its config. It may refer to files of earlier stages.
    """
    name: str
    task: str
    cfg: Config


def preflight(runs: Sequence[Run]) -> None:
    """Meet what cannot work before the first run rather than hours later.

    Builds the datasets, pipelines, loaders, hooks, metrics and models of all
    runs, loads two samples and passes small images through each model.
    Nothing is written, and all random number generators are left as they
    were.

    All ranks take part: an error of one is an error of all.

    Args:
        runs (Sequence[Run]): The runs that are still to do, in their order.

    Raises:
        FileNotFoundError: If a file, a folder or weights are missing.
        TypeError: If there is an argument that is not known.
        RuntimeError: If a sample cannot be loaded, or a model cannot learn.
        ValueError: If anything else cannot work.
    """
    error: Exception | None = None
    with _same_random_numbers():
        try:
            _check_runs(runs)
        except Exception as found:
            error = found
    messages = all_gather_object(None if error is None else str(error))
    if error is not None:
        raise error
    for message in messages:
        if message is not None:
            raise RuntimeError(f'another process stops: {message}')


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _check_runs(runs: Sequence[Run]) -> None:
    classes: dict[str, tuple[str, ...] | None] = {}
    written: dict[str, Sequence[str]] = {}
    for run in runs:
        with named(f'stage {run.name!r}' if run.name else ''), \
                DefaultScope.overwrite_default_scope(
                    run.cfg.get('default_scope', 'mmseg')):
            own, image_ids = _check_run(run)
            written[run.name] = image_ids
            if run.task == 'test':
                _check_maps(run.cfg, image_ids, written)
            for text in texts([
                    run.cfg.get(f'{split}_dataloader')
                    for split in ('train', 'val', 'test')
            ]):
                parent = stage_of(text)
                if own and classes.get(parent) and len(own) != len(
                        classes[parent]):
                    raise ValueError(
                        f'it learns from the labels of stage {parent!r}, '
                        f'which has other classes: {list(classes[parent])}, '
                        f'but here they are {list(own)}')
            classes[run.name] = own


def _check_maps(cfg: Config, image_ids: Sequence[str],
                written: dict[str, Sequence[str]]) -> None:
    """Check that an earlier stage makes maps of all images that need some.

    Raises:
        ValueError: If it does not.
    """
    source = stage_of(str(cfg.model.get('map_dir')))
    if source not in written:
        return
    known = set(written[source])
    lacking = [each for each in image_ids if each not in known]
    if lacking:
        raise ValueError(
            f'stage {source!r} makes no maps of {len(lacking)} of '
            f'{len(image_ids)} images whose maps are read here: '
            f'{listed(lacking)}. The label_dataloader of that stage must hold '
            'them all: add them, or leave them out of the test_dataloader (or '
            'label_dataloader) here')


def _check_run(run: Run) -> tuple[tuple[str, ...] | None, Sequence[str]]:
    """Check a run; return its classes, and the ids of its test images."""
    cfg = copy.deepcopy(run.cfg)
    cfg._cfg_dict = walk(cfg._cfg_dict, _mark)
    starts = bool(cfg.get('load_from') or cfg.get('resume'))
    if stage_of(str(run.cfg.get('load_from'))):
        cfg.load_from = None
    check_groups(cfg, run.task)
    check_names(cfg)
    hooks = build_hooks(cfg)
    names = ('train', 'val') if run.task == 'train' else ('test', )
    splits = {
        name: build_split(cfg, name)
        for name in names if cfg.get(f'{name}_dataloader')
    }
    datasets = {
        f'{name}_dataloader': split.dataset
        for name, split in splits.items()
    }
    builder = None
    if run.task == 'train':
        by_iter, end = check_training(cfg)
        if run.name:
            check_checkpoints(hooks, by_iter, end)
        builder = _check_bank(cfg, hooks, by_iter, end, starts, datasets)
        warn_of_tags(splits['train'].dataset)
    for name, split in splits.items():
        if name != 'train':
            check_evaluator(cfg, name, split)
    classes = same_classes(datasets)
    check_weights(cfg, run.task)
    _check_model(cfg, splits, classes, builder)
    ids: Sequence[str] = ()
    if run.task == 'test' and splits['test'].whole and (
            cfg.test_cfg.get('type') == 'PseudoLabelLoop'
            or cfg.model.get('map_dir')):
        with named('test_dataloader'):
            ids = with_image_ids(splits['test'].dataset).image_ids
    return classes, ids


def _mark(text: str) -> str:
    """Mark a file of another stage, which is not there yet."""
    if not text.startswith(PREFIX):
        return text
    return LATER + text.removeprefix(PREFIX)


def _check_bank(cfg: Config, hooks: dict[str, Hook], by_iter: bool, end: int,
                starts: bool,
                datasets: dict[str, Dataset]) -> PrototypeBuilder | None:
    """Check the prototypes of a training; return what builds them.

    Their photos are added to the datasets.
    """
    builder = None
    for name, hook in hooks.items():
        if not isinstance(hook, PrototypeBankHook):
            continue
        builder = hook.builder
        with named('PrototypeBankHook'):
            check_bank(cfg, hook, hooks, by_iter, end, starts)
            if not any(
                    text.startswith(LATER) for text in texts(builder.dataset)):
                datasets[name] = builder.prepare()
    return builder


def _check_model(cfg: Config, splits: dict[str, Split],
                 classes: Sequence[str] | None,
                 builder: PrototypeBuilder | None) -> None:
    """Check the model of a run on its data, as far as they are there."""
    with named('model'):
        model = ModelCheck(cfg)
    if classes is not None:
        model.check_num_classes(classes)
    model.check_heads()
    for name, split in splits.items():
        if split.ready:
            with named(f'{name}_dataloader'):
                number = min(
                    len(split.dataset), _NUM_SAMPLES, split.loader.batch_size
                    or _NUM_SAMPLES)
                batch = split.loader.collate_fn(
                    [split.dataset[i] for i in range(number)])
                model.check_batch(batch, name == 'train')
    model.check_strides()
    if builder is not None:
        model.check_prototypes(builder)
    if 'train' in splits:
        with named('train_dataloader'):
            smallest = smallest_batch(splits['train'])
        model.check_training(smallest)
