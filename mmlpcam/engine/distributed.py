"""Process groups on machines with and without accelerators."""
import atexit
from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import is_cuda_available, is_npu_available
from mmengine.dist import (broadcast_object_list, init_dist, is_distributed,
                           is_main_process)
from mmengine.utils.dl_utils import set_multi_processing

_Result = TypeVar('_Result')


def init_distributed(cfg: Config) -> None:
    """Start the process group of a launcher, on CPUs too.

    MMEngine's runner keeps a group that exists. With an accelerator it is the
    one that the runner would start, only sooner: what is logged before there
    is a runner is logged once. Without one it is a gloo group; the runner
    would select a CUDA device and give it to DistributedDataParallel, so this
    asks for a wrapper without devices, and replaces SyncBN, which has no CPU
    version, by BN.

    Args:
        cfg (Config): Config with ``launcher`` set; ``model_wrapper_cfg`` may
            be set in it.

    Raises:
        ValueError: If there is no accelerator and the launcher is not
            'pytorch'.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if is_cuda_available() or is_npu_available():
        if not is_distributed():
            env_cfg = cfg.get('env_cfg', {})
            set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
            init_dist(launcher, **env_cfg.get('dist_cfg', {}))
        return
    if launcher != 'pytorch':
        raise ValueError(
            f'without an accelerator only the pytorch launcher is supported, '
            f'but got {launcher!r}: use tools/dist_train.sh')
    if not is_distributed():
        torch_dist.init_process_group(backend='gloo')
        # its threads must not outlive the interpreter, which aborts then
        atexit.register(torch_dist.destroy_process_group)
    _replace_sync_bn(cfg.get('model'))
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))


def on_main_process(function: Callable[[], _Result]) -> _Result:
    """Call a function on the main process; all have its result or its error.

    All processes must call this. If one alone failed, the others would wait
    for it.

    Args:
        function (Callable): Takes nothing and returns what can be pickled.

    Returns:
        Any: Its result.

    Raises:
        Exception: What it raises; a RuntimeError with the same text in the
            other processes.
    """
    outcome: list = [None, None]
    failure: Exception | None = None
    if is_main_process():
        try:
            outcome[0] = function()
        except Exception as error:
            failure = error
            outcome[1] = f'{type(error).__name__}: {error}'
    broadcast_object_list(outcome)
    if failure is not None:
        raise failure
    if outcome[1] is not None:
        raise RuntimeError(f'the main process has stopped: {outcome[1]}')
    return outcome[0]


def _replace_sync_bn(node: Any) -> None:
    """Replace the layers of a model config in place."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            _replace_sync_bn(item)
