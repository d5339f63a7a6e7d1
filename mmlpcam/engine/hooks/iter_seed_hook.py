"""Runs that repeat themselves, also when they were interrupted."""
import random

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class IterSeedHook(Hook):
    """Seed all random number generators anew for each training iteration.

    MMEngine seeds once per run, so a resumed run draws other augmentations
    and dropout masks than an unbroken one. With this hook the draws depend
    on the seed, the iteration and the rank only. Runs that must resume to
    the same weights need an epoch-based loop (an iteration-based one replays
    the loader first) and ``num_workers=0`` (draws in loader processes are
    out of reach).
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the first iteration: validation may have drawn as well."""
        self._seed(runner, runner.iter)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Seed the next iteration, whose batch is loaded before its hooks."""
        self._seed(runner, runner.iter + 1)

    @staticmethod
    def _seed(runner: Runner, iteration: int) -> None:
        sequence = np.random.SeedSequence(
            [runner.seed, iteration, runner.rank])
        python, numpy, pytorch = sequence.generate_state(3).tolist()
        random.seed(python)
        np.random.seed(numpy)  # noqa: NPY002, the one MMCV draws from
        torch.manual_seed(pytorch)
