"""Process groups on machines with and without accelerators."""
import atexit
from typing import Any

import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import is_cuda_available, is_npu_available
from mmengine.dist import init_dist, is_distributed
from mmengine.utils.dl_utils import set_multi_processing


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


def _replace_sync_bn(node: Any) -> None:
    """Replace the layers of a model config in place."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            _replace_sync_bn(item)
