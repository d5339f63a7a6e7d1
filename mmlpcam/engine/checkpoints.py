"""Which checkpoint to go on from, and whether it fits a model."""
import logging
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import (BaseTTAModel, is_model_wrapper,
                            revert_sync_batchnorm)
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_state_dict
from mmseg.apis import init_model
from torch import Tensor, nn

from mmlpcam.models import PrototypeBank
from mmlpcam.utils import read_checkpoint, weights_of

_NUMBERED = re.compile(r'(?!\.|best_).*\d\.pth$')


def last_checkpoint(folder: str | os.PathLike) -> str | None:
    """Find the last whole checkpoint of a run.

    It is the one that the file ``last_checkpoint`` names. Where that cannot
    be read, the newest whole one takes its place, with a warning.

    Args:
        folder (str | os.PathLike): Work dir of the run. It may have moved
            since.

    Returns:
        str | None: File name, or None if none was ever written.

    Raises:
        ValueError: If there were checkpoints, but none is whole: a run must
            not begin anew without a word.
    """
    folder = Path(folder)
    named, problem = _named_checkpoint(folder / 'last_checkpoint')
    if named is not None:
        return str(named)
    others = [
        path for path in sorted(folder.glob('*.pth'))
        if _NUMBERED.match(path.name)
    ]
    found = [(path, *_state(path)) for path in others]
    whole = [(when, path) for path, when, _ in found if when is not None]
    faults = [fault for _, _, fault in found if fault is not None]
    if whole:
        newest = max(whole)[1]
        print_log(
            f'{problem}. The newest whole checkpoint takes its place: '
            f'{newest}',
            logger='current',
            level=logging.WARNING)
        return str(newest)
    if not faults and not (folder / 'last_checkpoint').exists():
        return None
    raise ValueError(
        f'{problem}, and {folder} holds no whole checkpoint to go on from'
        f'{"".join(f"; {fault}" for fault in faults)}. Put one there, or '
        'remove the folder to begin anew')


def _named_checkpoint(file: Path) -> tuple[Path | None, str]:
    """Return what ``last_checkpoint`` names, or what is wrong with it."""
    if not file.exists():
        return None, f'there is no {file}'
    try:
        name = Path(file.read_text(encoding='utf-8').strip()).name
    except (OSError, UnicodeDecodeError) as error:
        return None, f'{file} cannot be read ({error})'
    path = file.parent / name
    if path not in file.parent.iterdir():
        return None, f'{file} names {name!r}, which is not there'
    when, fault = _state(path)
    if when is None:
        return None, fault or (f'{file} names {path}, which is no checkpoint '
                               'of a training')
    return path, ''


def _state(path: Path) -> tuple[tuple[str, int] | None, str | None]:
    """Return when a checkpoint was written, or what is wrong with it.

    Neither of the two is known of weights that no training has saved.
    """
    stat = path.stat()
    return _state_of(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _state_of(path: Path, size: int,
              mtime: int) -> tuple[tuple[str, int] | None, str | None]:
    try:
        content = read_checkpoint(path)
    except (OSError, ValueError) as error:
        return None, str(error)
    meta = content.get('meta') if isinstance(content, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get('iter'), int):
        return None, None
    return (str(meta.get('time', '')), meta['iter']), None


def load_weights(model: nn.Module,
                 path: str | os.PathLike,
                 *,
                 bank: bool = True) -> dict:
    """Load a trained model, all of it.

    Args:
        model (nn.Module): Model to load into.
        path (str | os.PathLike): Checkpoint.
        bank (bool): Whether the prototypes must fit; else they are loaded
            if they do. Defaults to True.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, not safe, or of another model.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(path), 'cpu')
    check_weights(model, checkpoint, path, bank=bank)
    load_state_dict(model, weights_of(checkpoint, path))
    return checkpoint


def init_trained_model(cfg: Config, path: str | os.PathLike,
                       device: str) -> nn.Module:
    """Build a segmentor for photos, as :func:`mmseg.apis.init_model` does.

    Args:
        cfg (Config): Its config.
        path (str | os.PathLike): Its checkpoint, which must fit.
        device (str): Such as 'cpu'.

    Returns:
        nn.Module: The model, with ``dataset_meta`` if its checkpoint says
        for what classes it was trained.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, not safe, or of another model; if the
            config is wrong, or there is no such device.
    """
    check_device(device)
    try:
        model = init_model(cfg, None, device)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f'{cfg.filename}: model: {error}') from error
    meta = load_weights(model, path).get('meta') or {}
    if 'dataset_meta' in meta:
        model.dataset_meta = meta['dataset_meta']
    return revert_sync_batchnorm(model)


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Args:
        device (str): Such as 'cpu' or 'cuda:0'.

    Raises:
        ValueError: If PyTorch cannot use it.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        text = str(error).partition('\n')[0]
        raise ValueError(f'expected a device that is there, such as cpu, but '
                         f'got {device!r}: {text}') from error


def check_weights(model: nn.Module,
                  checkpoint: Any,
                  path: str | os.PathLike,
                  *,
                  bank: bool = True,
                  fine_tune: bool = False) -> None:
    """Refuse a checkpoint that does not fit a model.

    Prototypes may be missing altogether: the bank is empty then, and whoever
    needs it says so.

    Args:
        model (nn.Module): The model.
        checkpoint (Any): What was read.
        path (str | os.PathLike): Name of the file, for the message.
        bank (bool): Whether the prototypes must fit. Defaults to True.
        fine_tune (bool): Whether the model is trained further, so that only
            its backbone must fit: a head for other classes begins anew.
            Defaults to False.

    Raises:
        ValueError: If it does not fit. The message says what differs.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    expected, found = model.state_dict(), weights_of(checkpoint, path)
    banks = _banks(model)
    loose = [
        prefix for prefix in banks
        if not bank or not any(name.startswith(prefix) for name in found)
    ]

    def names(these: Iterable[str]) -> list[str]:
        return [
            name for name in these if not name.endswith('num_batches_tracked')
            and not _belongs_to(name, loose) and (
                not fine_tune or name.startswith('backbone.'))
        ]

    missing = names(name for name in expected if name not in found)
    surplus = names(name for name in found if name not in expected)
    both = [name for name in expected if name in found]
    shapes = [
        f'{name} {tuple(found[name].shape)} instead of '
        f'{tuple(expected[name].shape)}' for name in names(both)
        if found[name].shape != expected[name].shape
    ]
    infinite = [
        name for name in names(both)
        if not _is_finite(found[name]) and _is_finite(expected[name])
    ]
    differences = [
        f'{what}: {_some(these)}'
        for what, these in (('missing weights',
                             missing), ('weights of another model',
                                        surplus), ('other shapes', shapes),
                            ('values that are not finite', infinite)) if these
    ]
    if not both and expected:
        differences.insert(0, 'nothing fits')
    if differences:
        raise ValueError(
            f'{path} does not fit the {type(model).__name__} of the config: '
            f'{"; ".join(differences)}. Give the checkpoint of this config, '
            'with num_classes and the backbone as they were trained')


def _banks(model: nn.Module) -> list[str]:
    return [
        f'{name}.' for name, module in model.named_modules()
        if isinstance(module, PrototypeBank)
    ]


def _belongs_to(name: str, prefixes: Sequence[str]) -> bool:
    return name.startswith(tuple(prefixes))


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _some(names: Sequence[str]) -> str:
    shown = ', '.join(names[:3])
    return f'{len(names)} ({shown}{", ..." if len(names) > 3 else ""})'
