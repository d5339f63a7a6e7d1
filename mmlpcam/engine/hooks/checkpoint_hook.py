"""Checkpoints that are whole or not there, and fit what loads them."""
import logging
import os
from collections import deque
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

from mmlpcam.engine.checkpoints import check_weights, last_checkpoint
from mmlpcam.utils import on_main_process, write_bytes

_BACKEND = 'mmlpcam_local'


@register_backend(_BACKEND, force=True)
class WholeFileBackend(LocalBackend):
    """Local files that appear whole or not at all."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a file atomically.

        Args:
            obj (bytes): What it is to hold.
            filepath (str | os.PathLike): File name.
        """
        write_bytes(filepath, obj)


class _PatientBackend(WholeFileBackend):
    """Put off removals until what takes the place of a file is written."""

    def __init__(self) -> None:
        super().__init__()
        self._outdated: list[str] = []

    def remove(self, filepath: str | os.PathLike) -> None:
        self._outdated.append(str(filepath))

    def flush(self, keep: Collection[str]) -> None:
        """Remove what was to be removed, except what was written anew."""
        for path in self._outdated:
            if path not in keep:
                Path(path).unlink(missing_ok=True)
        self._outdated.clear()


class _SavingTogether:
    """A runner whose failure to save is one of all processes."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def save_checkpoint(self, *args, **kwargs) -> None:
        on_main_process(partial(self._runner.save_checkpoint, *args, **kwargs))


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's hook of that name, which loses no checkpoint.

    It is what ``dict(type='CheckpointHook')`` builds in the scope of
    MMSegmentation, in the runs of its own tools too.

    - A checkpoint and ``last_checkpoint`` are written atomically, and an
      older one (``max_keep_ckpts``, ``save_best``) is removed only once the
      newer one is whole.
    - If writing fails, on a full disk say, all processes stop.
    - ``--resume`` goes on from :func:`last_checkpoint`.
    - A checkpoint that does not fit the model is refused, see
      :func:`check_weights`: all of it must fit for a test and to resume; the
      backbone to train further from ``load_from``.

    The arguments are those of MMEngine. What it is told about another
    storage than local files is passed on, and MMEngine's way of writing
    remains.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._is_local = not self.backend_args and not self.file_client_args
        if self._is_local:
            self.backend_args = dict(backend=_BACKEND)

    def before_run(self, runner: Runner) -> None:
        """Find the checkpoint to resume from.

        Raises:
            ValueError: If no checkpoint of the run is whole.
        """
        if not (runner._resume and _is_training(runner)
                and runner._load_from is None):
            return
        runner._load_from = last_checkpoint(runner.work_dir)
        if runner._load_from is None:
            runner._resume = False
            print_log(
                f'{runner.work_dir} holds no checkpoint to resume from: the '
                'training starts from the beginning',
                logger='current',
                level=logging.WARNING)

    def after_load_checkpoint(self, runner: Runner, checkpoint: Any) -> None:
        """Check a checkpoint before it is put into the model.

        Raises:
            ValueError: If it does not fit.
        """
        path = runner._load_from or 'the checkpoint'
        training = _is_training(runner)
        check_weights(
            runner.model,
            checkpoint,
            path,
            fine_tune=training and not runner._resume)
        if training and runner._resume:
            self._check_resumable(runner, checkpoint, path)

    def before_train(self, runner: Runner) -> None:
        """Take over what an interrupted run has left."""
        super().before_train(runner)
        if self._is_local:
            self.file_backend = _PatientBackend()
            if is_main_process():
                for leftover in Path(self.out_dir).glob('.tmp-*'):
                    leftover.unlink(missing_ok=True)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # it calls the method below too
        super()._save_best_checkpoint(_SavingTogether(runner), metrics)
        if self._is_local:
            self._remove_outdated()

    def _save_checkpoint_with_step(self, runner: Runner | _SavingTogether,
                                   step: int, meta: dict) -> None:
        if not isinstance(runner, _SavingTogether):
            runner = _SavingTogether(runner)
        if not self._is_local:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            kept = [*self.keep_ckpt_ids, step]
            for old in kept[:-self.max_keep_ckpts]:
                self.file_backend.remove(self._path(old))
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            # with the outdated: MMEngine removes it when it resumes, if
            # this run does not live to do so
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        on_main_process(
            partial(write_bytes,
                    Path(runner.work_dir) / 'last_checkpoint',
                    self.last_ckpt.encode()))
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove what was replaced, now that the new one is whole."""
        best = [
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values()
        ]
        if is_main_process():
            self.file_backend.flush(keep=[self.last_ckpt, *best])

    def _path(self, step: int) -> str:
        return os.path.join(self.out_dir, self.filename_tmpl.format(step))

    def _check_resumable(self, runner: Runner, checkpoint: dict,
                         path: str) -> None:
        """Refuse what holds weights, but not the state of a training."""
        meta = checkpoint.get('meta')
        lacking = [
            key for key in ('epoch', 'iter') if not isinstance(meta, dict)
            or not isinstance(meta.get(key), int)
        ]
        needed = dict(
            message_hub=True,
            optimizer=self.save_optimizer,
            param_schedulers=self.save_param_scheduler
            and runner.param_schedulers is not None)
        lacking += [
            key for key, is_needed in needed.items()
            if is_needed and key not in checkpoint
        ]
        if lacking:
            raise ValueError(
                f'{path} holds no training to resume: it lacks '
                f'{", ".join(lacking)}. Give a checkpoint that the training '
                'saved, or start a new one with load_from')


def _is_training(runner: Runner) -> bool:
    return isinstance(runner._train_loop, BaseLoop)
