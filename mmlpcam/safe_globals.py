"""Checkpoints of MMEngine, read without executing what is in them.

Beside the weights they hold log histories and numbers of NumPy, which
``torch.load`` refuses by default since PyTorch 2.6. The maintained MMEngine
allows them where it loads; the original one (0.10.7) does not, and cannot
even resume from checkpoints of its own.
"""
from collections.abc import Callable
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from mmengine.utils import digit_version

_STATISTICS = ('min', 'max', 'current', 'mean')
_NUMBERS = (np.float32, np.float64, np.int32, np.int64)


def register_safe_globals() -> None:
    """Let PyTorch load checkpoints where MMEngine does not see to it.

    PyTorch keeps the list for the whole process.
    """
    if (digit_version(torch.__version__) >= digit_version('2.6.0')
            and not hasattr(checkpoint, 'get_torch_safe_globals')):
        torch.serialization.add_safe_globals(safe_globals())


def safe_globals() -> list[type | tuple[Callable, str]]:
    """Return what a checkpoint of MMEngine names besides tensors.

    Returns:
        list[type | tuple[Callable, str]]: Classes, and functions with the
        name they have in files, as
        :func:`torch.serialization.add_safe_globals` takes them.
    """
    array, _, _ = np.zeros(1).__reduce__()
    number, _ = np.float64(0).__reduce__()
    functions = [(_statistic, 'builtins.getattr')]
    for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
        functions += [(array, f'{package}.multiarray._reconstruct'),
                      (number, f'{package}.multiarray.scalar')]
    return [
        HistoryBuffer, np.ndarray, np.dtype,
        *(type(np.dtype(kind)) for kind in _NUMBERS), *functions
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
            f'HistoryBuffer, but this one refers to {name!r} of {owner!r}. '
            'Do not load it, unless you trust where it comes from')
    return getattr(HistoryBuffer, name)
