"""Time, disk and memory of a chain for many images, from two short runs."""
import copy
import math
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmseg.registry import DATASETS

from .contents import ContentReader, is_dataset
from .stage import Stage
from .staged_runner import StagedRunner

MIN_ITERS = 4
"""int: Iterations that a training is measured over, at least."""


class StageSample(NamedTuple):
    """A stage as it was measured.

    Attributes:
        name (str): Its name.
        iter_seconds (list[float]): Time of each iteration, with its data.
        seconds (float): Time of all the stage.
        num_bytes (int): Size of its folder, with as many checkpoints as the
            training keeps.
        full_iters (int | None): Iterations of the training as the config has
            it, where it has a number; else None.
        epochs (int): How often it goes over the images.
        batch_size (int): Images in an iteration.
    """
    name: str
    iter_seconds: list[float]
    seconds: float
    num_bytes: int
    full_iters: int | None
    epochs: int
    batch_size: int


@dataclass(frozen=True)
class Measurement:
    """A chain that was run on a few images.

    Attributes:
        num_images (int): How many.
        stages (list[StageSample]): Its stages.
        peak_bytes (int): Peak of the memory of the process.
        gpu_peak_bytes (int): The same on the GPU, 0 without one.
        list_bytes (float): Memory of the lists of images and labels, for
            each image.
    """
    num_images: int
    stages: list[StageSample]
    peak_bytes: int
    gpu_peak_bytes: int
    list_bytes: float


def measure_chain(cfg: Config, num_images: int) -> list[Measurement]:
    """Run a chain on a few images, and on twice as many.

    Each run has a process and a temporary folder of its own.

    Args:
        cfg (Config): Config of a chain.
        num_images (int): The first number of images; it is raised to four
            batches of each training.

    Returns:
        list[Measurement]: The two runs.

    Raises:
        ValueError: If the config is no chain, or `num_images` is not
            positive.
    """
    if cfg.get('runner_type') != 'StagedRunner':
        raise ValueError(f'{cfg.filename} is no chain: expected '
                         "runner_type='StagedRunner' with `stages`")
    if num_images < 1:
        raise ValueError(f'expected a positive number of images to measure, '
                         f'but got {num_images}')
    found = []
    for factor in (1, 2):
        with ProcessPoolExecutor(
                1, mp_context=get_context('spawn')) as pool, \
                tempfile.TemporaryDirectory(prefix='mmlpcam-') as folder:
            small = copy.deepcopy(cfg)
            small.work_dir = folder
            found.append(
                pool.submit(_measure, small, num_images, factor).result())
    return found


def _measure(cfg: Config, num_images: int, factor: int) -> Measurement:
    """Run a chain once, in this process."""
    full = StagedRunner(cfg).stages
    trained = [_batch_size(s.cfg, s.task) for s in full if s.task == 'train']
    number = factor * max(num_images, MIN_ITERS * max(trained, default=1))
    contents = ContentReader(Path(cfg.work_dir) / '.contents.json')
    stages: list[Stage] = []
    samples = []
    for stage in full:
        small = copy.deepcopy(stage.cfg)
        shrink(small, number)
        stages.append(
            Stage(stage.name, stage.task, small, stages, contents,
                  stage.title))
    for stage, whole in zip(stages, full):
        start = time.perf_counter()
        stage.run()
        seconds = time.perf_counter() - start
        train_cfg = whole.cfg.get('train_cfg') or {}
        key = 'train/time' if stage.task == 'train' else 'test/time'
        scalars = MessageHub.get_current_instance().log_scalars
        is_training = stage.task == 'train'
        samples.append(
            StageSample(
                stage.name,
                scalars[key].data[0].tolist() if key in scalars else [],
                seconds, _folder_bytes(Path(stage.work_dir), whole.cfg),
                train_cfg.get('max_iters') if is_training else None,
                train_cfg.get('max_epochs', 1) if is_training else 1,
                _batch_size(whole.cfg, stage.task)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measurement(
        number,
        samples,
        # KiB, but bytes on a Mac
        peak * (1 if sys.platform == 'darwin' else 1024),
        torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        max(_list_bytes(stage) for stage in stages))


def _folder_bytes(folder: Path, cfg: Config) -> int:
    """Size of the folder of a short run, had it the checkpoints of a full."""
    sizes = {p: p.stat().st_size for p in folder.rglob('*') if p.is_file()}
    found = [size for p, size in sizes.items() if p.suffix == '.pth']
    return sum(
        sizes.values()) + max(kept_checkpoints(cfg) - len(found), 0) * max(
            found, default=0)


def kept_checkpoints(cfg: Config) -> int:
    """Tell how many checkpoints a training leaves.

    Args:
        cfg (Config): Its config.

    Returns:
        int: Their number; 0 without a CheckpointHook.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    train_cfg = cfg.get('train_cfg') or {}
    length = train_cfg.get('max_iters') or train_cfg.get('max_epochs', 1)
    if not hook:
        return 0
    interval = hook.get('interval', -1)
    saved = math.ceil(length / interval) if interval > 0 else 1
    most = hook.get('max_keep_ckpts', -1)
    best = hook.get('save_best') or ()
    return (min(saved, most) if most > 0 else saved) + (1 if isinstance(
        best, str) else len(best))


def _batch_size(cfg: Config, task: str) -> int:
    return cfg[f'{task}_dataloader'].get('batch_size', 1)


def _list_bytes(stage: Stage) -> float:
    """Return the memory of a data set for each image."""
    cfg = stage.resolved_cfg()[f'{stage.task}_dataloader'].dataset
    tracemalloc.start()
    dataset = DATASETS.build(dict(cfg, _scope_='mmseg'))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / len(dataset)


def shrink(cfg: Config, num_images: int) -> None:
    """Let a run have few images and iterations, no validation, and no log.

    It learns nothing either: maps of random weights show about every second
    class, but a few steps may teach a classifier to find none, and then there
    is nothing to make prototypes or masks from.

    Args:
        cfg (Config): Its config, changed in place.
        num_images (int): Images that each data set is cut to.
    """
    _cut_datasets(cfg._cfg_dict, num_images)
    if cfg.get('train_cfg'):
        if cfg.train_cfg.get('max_iters'):
            cfg.train_cfg.max_iters = MIN_ITERS
        else:
            cfg.train_cfg.max_epochs = 1
    if (cfg.get('optim_wrapper') or {}).get('optimizer'):
        cfg.optim_wrapper.optimizer.lr = 0.
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        if key in cfg:
            cfg[key] = None
    cfg.log_level = 'ERROR'


def _cut_datasets(node: Any, num_images: int) -> None:
    if isinstance(node, dict):
        if is_dataset(node) and not {'dataset', 'datasets'} & set(node):
            node['indices'] = num_images
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            _cut_datasets(item, num_images)


class StageEstimate(NamedTuple):
    """What a stage takes for all images.

    Attributes:
        name (str): Its name.
        seconds (float): Time.
        num_bytes (float): Disk.
    """
    name: str
    seconds: float
    num_bytes: float


def extrapolate(few: Measurement, more: Measurement,
                num_images: int) -> list[StageEstimate]:
    """Estimate the stages of a chain for a number of images.

    The time of a stage is that of its iterations, each as long as the median
    of those measured, and a rest, such as prototypes, which is a straight
    line through the two runs, as the size of the folder is.

    Args:
        few (Measurement): The run on few images.
        more (Measurement): That on more.
        num_images (int): The number.

    Returns:
        list[StageEstimate]: An estimate for each stage.
    """
    estimates = []
    for one, two in zip(few.stages, more.stages):
        iters = two.full_iters or two.epochs * math.ceil(
            num_images / two.batch_size)
        rest = [each.seconds - sum(each.iter_seconds) for each in (one, two)]
        size = [each.num_bytes for each in (one, two)]
        numbers = few.num_images, more.num_images
        times = [*one.iter_seconds, *two.iter_seconds]
        estimates.append(
            StageEstimate(
                one.name,
                iters * statistics.median(times or [0.]) +
                _line(numbers, rest, num_images),
                _line(numbers, size, num_images)))
    return estimates


def _line(numbers: Sequence[int], values: Sequence[float],
          number: int) -> float:
    """Go on with a line that does not fall."""
    slope = (values[1] - values[0]) / (numbers[1] - numbers[0])
    return values[0] + max(slope, 0.) * (number - numbers[0])
