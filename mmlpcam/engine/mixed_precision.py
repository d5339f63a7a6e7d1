"""Mixed precision on machines with and without accelerators."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available, is_npu_available
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

_AMP = 'AmpOptimWrapper'
_AMP_OPTIONS = ('loss_scale', 'dtype')


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Train in bfloat16 on a CPU, where MMEngine's AmpOptimWrapper stops.

    bfloat16 has the range of float32, so that no loss needs a scale.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass of a training step in mixed precision.

        Args:
            model (nn.Module): The model.

        Yields:
            None: The block runs under autocast.
        """
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


def use_amp(cfg: Config, like: dict | None = None) -> None:
    """Turn mixed precision on: training, validation and tests.

    A config without an optimiser is left alone: its model has no weights. A
    loop that sets ``fp16`` keeps it. Loops run in float16 (bfloat16 on a
    CPU); where ``dtype`` asks for the range of another type, they stay in
    single precision.

    Args:
        cfg (Config): Config of a run, to change in place.
        like (dict, optional): ``optim_wrapper`` whose ``loss_scale`` and
            ``dtype`` are taken over. Defaults to None: those of MMEngine.

    Raises:
        ValueError: If the ``optim_wrapper`` is of a type of its own.
    """
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        return
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', _AMP):
        raise ValueError(
            f'mixed precision replaces an OptimWrapper by {_AMP}, but '
            f'optim_wrapper.type is {kind!r}: leave --amp away, or set an '
            'OptimWrapper')
    if kind == 'OptimWrapper':
        wrapper.type = _AMP
        wrapper.update(
            {key: like[key]
             for key in _AMP_OPTIONS if like and key in like})
    if wrapper.get('dtype') in (None, 'float16'):
        for loop in ('val_cfg', 'test_cfg'):
            if cfg.get(loop) is not None:
                cfg[loop].setdefault('fp16', True)


def has_amp(cfg: Config) -> bool:
    """Whether a config trains in mixed precision.

    Args:
        cfg (Config): Config of a run.

    Returns:
        bool: True if its ``optim_wrapper`` is an AmpOptimWrapper.
    """
    return (cfg.get('optim_wrapper') or {}).get('type') == _AMP


def init_amp(cfg: Config) -> None:
    """Make mixed precision work on CPUs too.

    Without an accelerator, :class:`CPUAmpOptimWrapper` takes the place of
    MMEngine's AmpOptimWrapper. With one nothing is done.

    Args:
        cfg (Config): Config of a run, to change in place.
    """
    if not has_amp(cfg) or is_cuda_available() or is_npu_available():
        return
    cfg.optim_wrapper.type = CPUAmpOptimWrapper.__name__
    for key in _AMP_OPTIONS:
        cfg.optim_wrapper.pop(key, None)
