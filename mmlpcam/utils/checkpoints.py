"""Checkpoints and weight files, read without executing what is in them.

A checkpoint is a pickle, which may name any function to call. PyTorch loads
those that hold nothing but tensors and what is on a list; MMEngine then tries
once more without that list, or never uses it. Importing this module replaces
the loaders behind :class:`mmengine.runner.CheckpointLoader`, through which
all that MMEngine and MMSegmentation load goes: ``load_from``, ``--resume``,
``init_cfg`` and what backbones load themselves.
"""
import io
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .files import write_bytes
from .ranks import on_main_process

TRUST_VARIABLE = 'MMLPCAM_TRUST_PICKLES'
_STATISTICS = ('min', 'max', 'current', 'mean')


def read_checkpoint(path: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read a checkpoint or weight file without executing a pickle.

    Only if the environment variable ``MMLPCAM_TRUST_PICKLES`` is the name of
    the file, or 1 for any file, is a file loaded that names something else
    than weights, numbers and log histories: what it asks for is executed.

    Args:
        path (str | os.PathLike): File name.
        map_location (Any): As in :func:`torch.load`. Defaults to 'cpu'.

    Returns:
        Any: What was saved; of MMEngine a dict with ``state_dict``, ``meta``
        and more.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, or not safe.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        return _load(file, str(path), map_location)


def write_checkpoint(content: dict, path: str | os.PathLike) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        content (dict): ``state_dict`` and what else belongs to it.
        path (str | os.PathLike): File name.
    """
    with io.BytesIO() as buffer:
        torch.save(content, buffer)
        write_bytes(path, buffer.getvalue())


def weights_of(checkpoint: Any,
               path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint, without the prefix of wrappers.

    Args:
        checkpoint (Any): What was read.
        path (str | os.PathLike): Name of the file, for the message.

    Returns:
        dict[str, torch.Tensor]: A state dict.

    Raises:
        ValueError: If it holds none.
    """
    weights = checkpoint
    if isinstance(checkpoint, dict):
        weights = checkpoint.get('state_dict', checkpoint)
    if not isinstance(weights, dict) or not weights or not all(
            isinstance(name, str) and isinstance(value, torch.Tensor)
            for name, value in weights.items()):
        raise ValueError(
            f'{path} holds no weights: expected a dict of tensors, or one '
            'with such a `state_dict`')
    return {
        re.sub(r'^module\.', '', name): value
        for name, value in weights.items()
    }


def mmengine_globals() -> list[Callable | tuple[Callable, str]]:
    """Return what a checkpoint of MMEngine names besides tensors.

    Returns:
        list[Callable | tuple[Callable, str]]: Classes, and functions with the
        name they have in files, as
        :func:`torch.serialization.add_safe_globals` takes them.
    """
    array: Any = np.zeros(1).__reduce__()
    number: Any = np.float64(0).__reduce__()
    functions: list[tuple[Callable, str]] = [(_statistic, 'builtins.getattr')]
    for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
        functions += [(array[0], f'{package}.multiarray._reconstruct'),
                      (number[0], f'{package}.multiarray.scalar')]
    kinds = '?' + np.typecodes['AllInteger'] + np.typecodes['Float']
    return [
        HistoryBuffer, ConfigDict, np.ndarray, np.dtype,
        *{type(np.dtype(kind))
          for kind in kinds}, *functions
    ]


def _statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr``, which would let a file reach anything.

    Pickle names methods by it, and a log history lists its own.

    Args:
        owner (type): Must be :class:`HistoryBuffer`.
        name (str): Name of one of its statistics.

    Returns:
        Callable: The method.

    Raises:
        UnpicklingError: If the file asks for anything else.
    """
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise UnpicklingError(
            f'a checkpoint may refer to {", ".join(_STATISTICS)} of '
            f'HistoryBuffer, but this one refers to {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)


def _load(file: BinaryIO, name: str, map_location: Any) -> Any:
    _check_sums(file, name)
    try:
        with torch.serialization.safe_globals(mmengine_globals()):
            content = torch.load(
                file, map_location=map_location, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except UnpicklingError as error:
        if not _is_pickle(file):
            raise _broken(name, error) from error
        if not _is_trusted(name):
            raise ValueError(
                f'{name} is not loaded: it is damaged, or holds more than '
                'weights, numbers and log histories, and so could execute '
                f'code ({_reason(error)}). Only if you know where it comes '
                f'from and trust it, set {TRUST_VARIABLE}={name} in the '
                'environment') from error
        warnings.warn(
            f'{name} is loaded as {TRUST_VARIABLE} asks, and may execute '
            'anything',
            stacklevel=3)
        file.seek(0)
        try:
            content = torch.load(
                file, map_location=map_location, weights_only=False)
        except Exception as other:
            raise _broken(name, other) from other
    except Exception as error:  # PyTorch raises what a damaged file brings up
        raise _broken(name, error) from error
    if isinstance(content, dict) and isinstance(content.get('meta'), dict):
        # a config of old versions, which MMEngine's runner would execute
        content['meta'].pop('config', None)
    return content


def _check_sums(file: BinaryIO, name: str) -> None:
    """Refuse a damaged archive, whose check sums PyTorch does not look at."""
    if zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()
        except Exception as error:  # of a damaged table of contents
            raise _broken(name, error) from error
        if damaged is not None:
            raise _broken(name, ValueError(f'{damaged} was changed'))
    file.seek(0)


def _is_pickle(file: BinaryIO) -> bool:
    file.seek(0)
    if zipfile.is_zipfile(file):
        return True
    file.seek(0)
    return file.read(1) == b'\x80'


def _is_trusted(name: str) -> bool:
    trusted = os.environ.get(TRUST_VARIABLE, '')
    return trusted == '1' or bool(trusted) and (
        Path(trusted).expanduser().resolve() == Path(name).resolve())


def _broken(name: str, error: Exception) -> ValueError:
    return ValueError(
        f'{name} is no whole checkpoint: it is empty, cut or of another kind '
        f'({_reason(error)}). Fetch it again, or use another one')


def _reason(error: Exception) -> str:
    # PyTorch's advice, to load it all the same, comes before and after
    text = str(error).partition('WeightsUnpickler error: ')[2] or str(error)
    lines = text.strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0].partition(". Please")[0]}'


def refuse_nan(content: Any, path: str, name: str = '') -> None:
    """Refuse a checkpoint with values that are not numbers.

    Args:
        content (Any): What was read.
        path (str): Name of the file, for the message.
        name (str): Where in the file `content` is.

    Raises:
        ValueError: If a tensor holds NaN.
    """
    if isinstance(content, torch.Tensor):
        inexact = content.is_floating_point() or content.is_complex()
        if inexact and content.isnan().any():
            raise ValueError(
                f'{path} holds NaN in {name.lstrip(".")}: its training went '
                'astray, or it is damaged. Use another one')
    elif isinstance(content, dict):
        for key, value in content.items():
            refuse_nan(value, path, f'{name}.{key}')
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            refuse_nan(value, path, f'{name}.{index}')


# MMEngine logs the names of these functions without `load_from_`.


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a file, see :func:`read_checkpoint`, and refuse NaN in it."""
    content = read_checkpoint(filename, map_location)
    refuse_nan(content, filename)
    return content


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Download a file once, into the cache of PyTorch, and load it.

    Raises:
        ConnectionError: If it cannot be had.
    """
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    path = folder / Path(urlparse(filename).path).name

    def fetch() -> None:
        if path.is_file():
            return
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(
                filename, str(path), progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:
            raise ConnectionError(
                f'{filename} cannot be downloaded to {path} ({error}): put '
                'the file there, or give its name instead of the '
                'address') from error

    on_main_process(fetch)
    return load_from_local(str(path), map_location)


@CheckpointLoader.register_scheme(
    prefixes=('modelzoo://', 'torchvision://'), force=True)
def load_from_torchvision(filename: str, map_location: Any = None) -> Any:
    """Load weights of torchvision by the name of a model."""
    models = mmengine_checkpoint.get_torchvision_models()
    return load_from_http(_address(models, filename), map_location)


@CheckpointLoader.register_scheme(
    prefixes=('open-mmlab://', 'openmmlab://'), force=True)
def load_from_openmmlab(filename: str, map_location: Any = None) -> Any:
    """Load weights of OpenMMLab by the name of a model."""
    models = mmengine_checkpoint.get_external_models()
    renamed = mmengine_checkpoint.get_deprecated_model_names()
    models.update({old: models[new] for old, new in renamed.items()})
    address = _address(models, filename)
    if not address.startswith(('http://', 'https://')):
        home = mmengine_checkpoint._get_mmengine_home()
        return load_from_local(os.path.join(home, address), map_location)
    return load_from_http(address, map_location)


@CheckpointLoader.register_scheme(prefixes='mmcls://', force=True)
def load_from_mmcls(filename: str, map_location: Any = None) -> Any:
    """Load a backbone of MMPretrain by the name of a model."""
    models = mmengine_checkpoint.get_mmcls_models()
    return mmengine_checkpoint._process_mmcls_checkpoint(
        load_from_http(_address(models, filename), map_location))


@CheckpointLoader.register_scheme(
    prefixes=[r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], force=True)
def load_from_ceph(filename: str, map_location: Any = None) -> Any:
    """Load a file of an object store."""
    backend = get_file_backend(filename, backend_args=dict(backend='petrel'))
    content = _load(io.BytesIO(backend.get(filename)), filename, map_location)
    refuse_nan(content, filename)
    return content


@CheckpointLoader.register_scheme(prefixes='pavi://', force=True)
def load_from_pavi(filename: str, map_location: Any = None) -> Any:
    """Refuse a service that MMEngine would load pickles from."""
    raise ValueError(f'{filename}: download it, and give the file')


def _address(models: dict[str, str], filename: str) -> str:
    name = filename.partition('://')[2]
    if name not in models:
        raise ValueError(
            f'{filename}: no model of that name is known. Known are '
            f'{", ".join(sorted(models)[:5])}, ... ({len(models)} in all)')
    return models[name]
