"""Process groups on machines with and without accelerators."""
from typing import Any

import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import is_cuda_available, is_npu_available
from mmengine.dist import is_distributed


def init_distributed(cfg: Config) -> None:
    """Make a launcher work on CPUs too.

    MMEngine's runner selects a CUDA device and gives it to
    DistributedDataParallel. Without an accelerator, this starts a gloo
    process group, which the runner then keeps, asks for a wrapper without
    devices, and replaces SyncBN, which has no CPU version, by BN. With an
    accelerator nothing is done: the runner's way is right.

    Args:
        cfg (Config): Config with ``launcher`` set; ``model_wrapper_cfg`` may
            be set in it.

    Raises:
        ValueError: If there is no accelerator and the launcher is not
            'pytorch'.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_cuda_available() or is_npu_available():
        return
    if launcher != 'pytorch':
        raise ValueError(
            f'without an accelerator only the pytorch launcher is supported, '
            f'but got {launcher!r}: use tools/dist_train.sh')
    if not is_distributed():
        torch_dist.init_process_group(backend='gloo')
    _replace_sync_bn(cfg.get('model'))
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))


def _replace_sync_bn(node: Any) -> None:
    """Replace the layers of a model config in place."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            _replace_sync_bn(item)
