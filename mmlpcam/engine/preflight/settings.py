"""Loops, hooks, optimiser and schedule of a run."""
import copy
import inspect
from collections.abc import Mapping

import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import (HOOKS, LOOPS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS,
                            OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS,
                            VISBACKENDS, VISUALIZERS)
from torch import nn

from mmlpcam.models import MAP_DEFAULTS, CAMSegmentor
from mmlpcam.structures import find_map_type
from ..hooks import PrototypeBankHook
from ..mixed_precision import init_amp
from .common import check_arguments, find_type, named

# MMEngine's runner wants all or none of each.
_SPLITS = dict(
    train=('train_dataloader', 'train_cfg', 'optim_wrapper'),
    val=('val_dataloader', 'val_cfg', 'val_evaluator'),
    test=('test_dataloader', 'test_cfg', 'test_evaluator'))
_BUILT = (CheckpointHook, EarlyStoppingHook, EMAHook, PrototypeBankHook)


def check_groups(cfg: Config, task: str) -> None:
    """Find what MMEngine's runner would miss.

    Args:
        cfg (Config): Config of the run.
        task (str): 'train' or 'test'.

    Raises:
        ValueError: If some of the settings of a loop are there, but not all.
    """
    for split, keys in _SPLITS.items():
        if task == 'test' and split != 'test':
            continue
        lacking = [key for key in keys if cfg.get(key) is None]
        if lacking and (len(lacking) < len(keys) or split == task):
            raise ValueError(
                f'{split} needs {", ".join(keys)}, but '
                f'{" and ".join(lacking)} is not set: set all of them' +
                ('' if split == task else ', or all to None'))


def check_names(cfg: Config) -> None:
    """Look up what only its run may build.

    Args:
        cfg (Config): Config of the run.

    Raises:
        TypeError: If there is an argument that is not known.
        ValueError: If there is a type that is not known.
    """
    for key in ('train_cfg', 'val_cfg', 'test_cfg'):
        loop = cfg.get(key)
        if loop and 'type' in loop:
            with named(key):
                check_arguments(LOOPS, loop)
    visualizer = cfg.get('visualizer')
    if isinstance(visualizer, Mapping):
        with named('visualizer'):
            check_arguments(VISUALIZERS, visualizer)
            for backend in visualizer.get('vis_backends') or []:
                check_arguments(VISBACKENDS, backend)


def build_hooks(cfg: Config) -> dict[str, Hook]:
    """Look all hooks up, and build those that are looked at.

    Args:
        cfg (Config): Config of the run.

    Returns:
        dict[str, Hook]: Hooks by the name of their setting.

    Raises:
        TypeError: If there is an argument that is not known.
        ValueError: If there is no such hook.
    """
    entries = {
        f'default_hooks.{name}': hook
        for name, hook in (cfg.get('default_hooks') or {}).items()
    }
    entries.update({
        f'custom_hooks.{number}': hook
        for number, hook in enumerate(cfg.get('custom_hooks') or [])
    })
    hooks = {}
    for name, hook in entries.items():
        if isinstance(hook, Mapping):
            with named(name):
                hook = copy.deepcopy(hook)
                hook.pop('priority', None)  # the runner takes it
                check_arguments(HOOKS, hook)
                # others may start at once what only their runner may start
                if not issubclass(find_type(HOOKS, hook), _BUILT):
                    continue
                hook = HOOKS.build(hook)
                if isinstance(hook, CheckpointHook):
                    # it passes on what it does not know
                    inspect.signature(
                        Runner.save_checkpoint).bind_partial(**hook.args)
        if hook is not None:
            hooks[name] = hook
    return hooks


def check_training(cfg: Config) -> tuple[bool, int]:
    """Check loop, optimiser and schedulers.

    Args:
        cfg (Config): Config of the run.

    Returns:
        tuple[bool, int]: Whether the loop counts iterations, and how many
        epochs or iterations it has.

    Raises:
        TypeError: If there is an argument that is not known.
        ValueError: If anything else is not right.
    """
    loop = dict(cfg.train_cfg)
    with named('train_cfg'):
        by_epoch = loop.pop('by_epoch', None)
        if 'type' not in loop:
            loop['type'] = ('EpochBasedTrainLoop'
                            if by_epoch else 'IterBasedTrainLoop')
            if by_epoch is None:
                raise ValueError('`type` is missing, such as '
                                 "'EpochBasedTrainLoop'")
        check_arguments(LOOPS, loop)
        by_iter = issubclass(find_type(LOOPS, loop), IterBasedTrainLoop)
        key = 'max_iters' if by_iter else 'max_epochs'
        end = loop.get(key)
        if not isinstance(end, int) or end < 1:
            raise ValueError(f'{key} must be at least 1, but is {end}')
    _check_optimizer(cfg, by_iter, end)
    return by_iter, end


def _check_optimizer(cfg: Config, by_iter: bool, end: int) -> None:
    """Build optimiser and schedulers for one number."""
    init_amp(cfg)
    wrapper = cfg.optim_wrapper.to_dict()
    with named('optim_wrapper'):
        constructor = wrapper.pop('constructor',
                                  'DefaultOptimWrapperConstructor')
        if isinstance(
                constructor,
                str) and OPTIM_WRAPPER_CONSTRUCTORS.get(constructor) is None:
            raise ValueError(f'there is no constructor {constructor!r}')
        if constructor != 'DefaultOptimWrapperConstructor':
            return  # it may split the optimiser as it likes
        wrapper.pop('paramwise_cfg', None)
        wrapper.setdefault('type', 'OptimWrapper')
        optimizer = OPTIMIZERS.build(
            dict(
                wrapper.pop('optimizer'),
                params=[nn.Parameter(torch.zeros(1))]))
        optimizer = OPTIM_WRAPPERS.build(dict(wrapper, optimizer=optimizer))
    schedulers = cfg.get('param_scheduler') or []
    for i, scheduler in enumerate(
        [schedulers] if isinstance(schedulers, Mapping) else schedulers):
        if not isinstance(scheduler, Mapping) or 'type' not in scheduler:
            continue
        with named(f'param_scheduler.{i}'):
            if by_iter != scheduler.get('by_epoch', True):
                scheduler = {'end': end, **scheduler}
            PARAM_SCHEDULERS.build(
                copy.deepcopy(dict(scheduler)),
                default_args=dict(optimizer=optimizer, epoch_length=100))


def check_bank(cfg: Config, bank: PrototypeBankHook, hooks: dict[str, Hook],
               by_iter: bool, end: int, starts: bool) -> None:
    """Check that prototypes are there when they are needed and stored.

    Args:
        cfg (Config): Config of the run.
        bank (PrototypeBankHook): The hook that builds them.
        hooks (dict[str, Hook]): All hooks, by name.
        by_iter (bool): Whether the training counts iterations.
        end (int): Its number of epochs or iterations.
        starts (bool): Whether it starts with weights, and so with their
            prototypes.

    Raises:
        ValueError: If they come too late.
    """
    bank.check_loop(by_iter, end)
    if bank.by_epoch == by_iter:
        return  # counted in another unit
    unit = 'epoch' if bank.by_epoch else 'iteration'
    first = bank.begin if 0 < bank.begin < end else end
    model, loop = cfg.model, cfg.train_cfg
    validates = cfg.get('val_dataloader') and not loop.get('dynamic_intervals')
    begin = loop.get('val_begin', 1)
    every = loop.get('val_interval', 1000 if by_iter else 1)
    if validates and any(
            isinstance(hook, EarlyStoppingHook) for hook in hooks.values()):
        bank.check_early_stop(by_iter, begin, every, end)
    kind = find_type(MODELS, model)
    test_cfg = {**MAP_DEFAULTS, **(model.get('test_cfg') or {})}
    needed = [
        name for name in (test_cfg['map_type'], *test_cfg['extra_map_types'])
        if find_map_type(name).needs_bank
    ]
    if (validates and needed and not starts
            and issubclass(kind, CAMSegmentor)):
        validated = min(-(-begin // every) * every, end)
        if validated < first:
            raise ValueError(
                f'validation after {unit} {validated} needs prototypes for '
                f'{needed[0]!r} maps, but the first are built after {unit} '
                f'{first}: set `begin` and `interval` of PrototypeBankHook '
                f'to {validated}, train_cfg.val_begin={first}, or '
                "model.test_cfg.map_type='cam' and extra_map_types=()")
    for name, hook in hooks.items():
        if isinstance(hook, CheckpointHook) and hook.by_epoch != by_iter:
            last = _last_saved(hook, end)
            if last < first:
                raise ValueError(
                    f'no checkpoint would hold prototypes: the last one is '
                    f'written after {unit} {last}, but the first prototypes '
                    f'are built after {unit} {first}. Set '
                    f'{name}.save_last=True')


def check_checkpoints(hooks: dict[str, Hook], by_iter: bool, end: int) -> None:
    """Check that a stage leaves a checkpoint where later ones look for it.

    Args:
        hooks (dict[str, Hook]): All hooks, by name.
        by_iter (bool): Whether the training counts iterations.
        end (int): Its number of epochs or iterations.

    Raises:
        ValueError: If it leaves none, or elsewhere.
    """
    savers = {
        name: hook
        for name, hook in hooks.items() if isinstance(hook, CheckpointHook)
    }
    if not savers:
        raise ValueError(
            'later stages, reports and predictions need its checkpoint, but '
            'it has no CheckpointHook: leave default_hooks.checkpoint as it '
            'is')
    for name, hook in savers.items():
        if hook.out_dir is not None:
            raise ValueError(
                f'later stages, reports and predictions look for its '
                f'checkpoint in its own folder: leave {name}.out_dir='
                f'{hook.out_dir!r} out, and set the work dir of the run '
                'instead')
        if hook.by_epoch != by_iter and _last_saved(hook, end) < 1:
            raise ValueError(
                'later stages, reports and predictions need its checkpoint, '
                f'but none is written in {end} '
                f'{"iterations" if by_iter else "epochs"}: set '
                f'{name}.save_last=True')


def _last_saved(hook: CheckpointHook, end: int) -> int:
    """Epoch or iteration, of `end`, of the last checkpoint; 0 for none."""
    if hook.save_last:
        return end
    return end // hook.interval * hook.interval if hook.interval > 0 else 0
