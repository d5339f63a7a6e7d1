"""Several MMEngine runs as one: classifier, labels, segmentor."""
import copy
import gc
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner, find_latest_checkpoint
from mmseg.registry import RUNNERS
from torch import nn

from mmlpcam.utils import check_writable, read_json, write_json
from .distributed import init_distributed
from .mixed_precision import has_amp, init_amp, use_amp
from .preflight import Run, preflight

_PREFIX = 'stage://'
_FINAL_STAGE = 'segmentor'
_STAGE_KEYS = ('config', 'task')
# What a stage that writes labels sets itself.
_LABEL_SETS = ('test_dataloader', 'test_evaluator', 'test_cfg')
# What decides the outcome of a stage; all else says where and how loudly it
# runs.
_TEST_SETTINGS = ('model', 'data_preprocessor', 'load_from', 'test_dataloader',
                  'test_evaluator', 'test_cfg')
_TRAIN_SETTINGS = ('model', 'data_preprocessor', 'load_from',
                   'train_dataloader', 'train_cfg', 'optim_wrapper',
                   'param_scheduler', 'auto_scale_lr', 'custom_hooks',
                   'randomness', 'val_dataloader', 'val_evaluator', 'val_cfg')
# The main config sets these for all stages, unless a stage sets its own.
_INHERITED = ('launcher', 'env_cfg', 'log_level', 'randomness')


@RUNNERS.register_module()
class StagedRunner:
    """Run the stages that a config names, then the config itself.

    Set ``runner_type='StagedRunner'`` and ``stages``, a dict from the name
    of a stage, which is also that of its folder, to a dict with

    - config (str): Config file of the stage, or its name in the dict
      ``stage_configs``, where several stages share one.
    - task (str): 'train'; 'test'; or 'label', which writes a mask for each
      image of the ``label_dataloader`` of that config into the folder of the
      stage (:class:`PseudoLabelLoop`). The writer takes its options from
      ``label_evaluator``.
    - anything else: overrides, merged into that config.

    A stage that is None is left out, such as ``seed`` where there are no
    masks to score maps with.

    On the command line a stage may be given by its name or its number:
    ``stages.classifier.train_cfg.max_epochs=2`` is
    ``stages.0.train_cfg.max_epochs=2``.

    Each stage is an ordinary MMEngine run in ``<work_dir>/<name>``; the
    config itself trains last, in ``<work_dir>/segmentor``. A string that
    starts with ``stage://<name>/`` stands for a file in the folder of an
    earlier stage; ``stage://<name>/last_checkpoint`` is its last checkpoint.

    A finished stage is skipped, an interrupted one continues from its last
    checkpoint, without any flag: the same command again carries on. A stage
    is never mixed with another configuration: if that of a started stage has
    changed, an error names the keys.

    Args:
        cfg (Config): The main config, with ``work_dir`` set.

    Raises:
        ValueError: If the stages are not well-formed.
        PermissionError: If the work dir cannot be written to.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = copy.deepcopy(cfg)
        check_writable(self.cfg.work_dir)
        # the stages share its process group
        init_distributed(self.cfg)
        self.stages = self._load_stages()

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'StagedRunner':
        """Build the runner, as MMEngine's registry does.

        Args:
            cfg (Config): The main config.

        Returns:
            StagedRunner: The runner.
        """
        return cls(cfg)

    def train(self) -> nn.Module | None:
        """Run all stages that are not finished.

        Returns:
            nn.Module: The trained model of the last stage; None if all
            stages were finished before.
        """
        self._check_datasets()
        model = None
        for number, stage in enumerate(self.stages, 1):
            title = f'stage {number}/{len(self.stages)} {stage.name!r}'
            if stage.is_finished():
                _say(f'{title} is finished: skipped ({stage.work_dir})')
                continue
            _say(f'{title} starts in {stage.work_dir}')
            model = None  # frees the memory of the stage before
            model = stage.run()
            _say(f'{title} is done')
        if model is None:
            _say(f'nothing to do: all stages in {self.cfg.work_dir} are '
                 'finished')
        return model

    def _load_stages(self) -> list['Stage']:
        main = self.cfg
        work_dir = Path(main.work_dir).absolute()
        stages: list[Stage] = []
        for name, entry in _by_name(main.get('stages', {})).items():
            if any(not entry.get(key) for key in _STAGE_KEYS):
                raise ValueError(
                    f'stage {name!r} needs {" and ".join(_STAGE_KEYS)}, but '
                    f'got {dict(entry)}')
            if name == _FINAL_STAGE or '/' in name:
                raise ValueError(
                    f'stage name {name!r} holds a slash or is taken '
                    f'({_FINAL_STAGE!r} is the main config itself)')
            cfg = Config.fromfile(
                main.get('stage_configs', {}).get(entry['config'],
                                                  entry['config']))
            cfg.merge_from_dict({
                key: copy.deepcopy(entry[key])
                for key in entry if key not in _STAGE_KEYS
            })
            for key in _INHERITED:
                if key in main and key not in entry:
                    cfg[key] = copy.deepcopy(main[key])
            cfg.work_dir = str(work_dir / name)
            task = entry['task']
            if task == 'label':
                ignored = set(_LABEL_SETS) & set(entry)
                if ignored:
                    raise ValueError(
                        f'stage {name!r} writes labels and sets '
                        f'{sorted(ignored)} itself: change label_dataloader '
                        'and label_evaluator instead')
                _write_labels(cfg, name)
                task = 'test'
            if has_amp(main):
                use_amp(cfg, like=main.optim_wrapper)
            stages.append(Stage(name, task, cfg, stages))
        final = copy.deepcopy(main)
        final.work_dir = str(work_dir / _FINAL_STAGE)
        if has_amp(main):
            use_amp(final)
        stages.append(Stage(_FINAL_STAGE, 'train', final, stages))
        return stages

    def _check_datasets(self) -> None:
        """Meet bad input before the first stage rather than hours later."""
        preflight([
            Run(stage.name, stage.task, stage.cfg) for stage in self.stages
            if not stage.is_finished()
        ])


class Stage:
    """One run of a :class:`StagedRunner`.

    Args:
        name (str): Name of the stage.
        task (str): 'train' or 'test'.
        cfg (Config): Its config, with references to resolve.
        earlier (Sequence[Stage]): The stages before.

    Raises:
        ValueError: If the task is unknown, or a reference names no earlier
            stage.
    """

    def __init__(self, name: str, task: str, cfg: Config,
                 earlier: Sequence['Stage']) -> None:
        if task not in ('train', 'test'):
            raise ValueError(f"stage {name!r}: `task` must be 'train', "
                             f"'test' or 'label', but is {task!r}")
        self.name = name
        self.task = task
        self.cfg = cfg
        self._folders = {stage.name: Path(stage.work_dir) for stage in earlier}
        self._folders[name] = Path(cfg.work_dir)
        self._settings = _relevant_settings(cfg, task)
        for text, parent in _references(cfg._cfg_dict).items():
            if parent not in self._folders:
                raise ValueError(
                    f'{text!r} in the config of stage {name!r} must name one '
                    f'of the stages so far: {list(self._folders)}')
        self._parents = [
            stage.digest for stage in earlier
            if stage.name in _references(self._settings).values()
        ]

    @property
    def work_dir(self) -> str:
        """str: Folder of the stage."""
        return self.cfg.work_dir

    @property
    def state_file(self) -> Path:
        """Path: What is known about the stage from earlier runs."""
        return Path(self.work_dir) / 'stage.json'

    @property
    def digest(self) -> str:
        """str: Digest of its settings and of the stages it refers to."""
        return _digest([self._settings, self._parents])

    def is_finished(self) -> bool:
        """Whether the stage was run to its end with these settings.

        Raises:
            RuntimeError: If it was started with other settings.
        """
        if not self.state_file.exists():
            if last_checkpoint(self.work_dir) is not None:
                raise RuntimeError(
                    f'{self.work_dir} holds a checkpoint, but no '
                    f'{self.state_file.name} that tells its settings. Choose '
                    'another --work-dir, or remove that folder')
            return False
        state = read_json(self.state_file)
        if state['digest'] != self.digest:
            changed = _changed_keys(state['settings'], self._settings)
            reason = (f'its settings differ in {", ".join(changed)}'
                      if changed else 'a stage that it builds on has changed')
            raise RuntimeError(
                f'stage {self.name!r} in {self.work_dir} was started with '
                f'another configuration: {reason}. Choose another --work-dir, '
                f'or remove {self.state_file.parent} to run it anew')
        return state['finished']

    def resolved_cfg(self) -> Config:
        """Return the config with all references to stages resolved.

        Returns:
            Config: A copy.

        Raises:
            FileNotFoundError: If an earlier stage has no checkpoint yet.
        """
        cfg = copy.deepcopy(self.cfg)
        cfg._cfg_dict = _walk(cfg._cfg_dict, self._resolve)
        return cfg

    def run(self) -> nn.Module | None:
        """Run or continue the stage.

        Returns:
            nn.Module | None: The model after training.
        """
        cfg = self.resolved_cfg()
        # loggers and visualizers are found by name in the whole process
        cfg.experiment_name = self.work_dir
        if 'visualizer' in cfg:
            cfg.visualizer.name = self.work_dir
        init_distributed(cfg)
        init_amp(cfg)
        if is_main_process():
            self._write_state(finished=False)
        barrier()
        metrics = _LastMetrics()
        if self.task == 'train':
            checkpoint = last_checkpoint(self.work_dir)
            cfg.resume = checkpoint is not None
            if checkpoint is not None:
                cfg.load_from = checkpoint
            runner = Runner.from_cfg(cfg)
            runner.register_hook(metrics)
            model = runner.train()
            if runner.val_loop is not None and not metrics.values:
                # it was interrupted after the last checkpoint
                runner.val_loop.run()
        else:
            cfg.resume = False
            drop_training(cfg)
            runner = Runner.from_cfg(cfg)
            runner.register_hook(metrics)
            model = None
            runner.test()
        barrier()
        if is_main_process():
            self._write_state(finished=True, metrics=metrics.values)
        barrier()
        del runner
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return model

    def _resolve(self, text: str) -> str:
        if not text.startswith(_PREFIX):
            return text
        name, _, rest = text[len(_PREFIX):].partition('/')
        if rest == 'last_checkpoint':
            checkpoint = last_checkpoint(self._folders[name])
            if checkpoint is None:
                raise FileNotFoundError(
                    f'stage {self.name!r} needs a checkpoint of stage '
                    f'{name!r}, but {self._folders[name]} has none: '
                    'give that stage a CheckpointHook')
            return checkpoint
        return str(self._folders[name] / rest)

    def _write_state(self, finished: bool, metrics: dict | None = None):
        write_json(
            self.state_file,
            dict(
                name=self.name,
                finished=finished,
                digest=self.digest,
                settings=self._settings,
                metrics=metrics or {}))


class _LastMetrics(Hook):
    """Remember what the last evaluation of a run returned."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def _keep(self, metrics: dict | None) -> None:
        self.values = {
            key: float(value)
            for key, value in (metrics or {}).items()
        }

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._keep(metrics)

    def after_test_epoch(self, runner, metrics=None) -> None:
        self._keep(metrics)


def drop_training(cfg: Config) -> None:
    """Take out of a config what a test does not need.

    It may refer to stages, and MMEngine's runner insists on all or none.

    Args:
        cfg (Config): Config to change in place.
    """
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper',
                'param_scheduler', 'val_dataloader', 'val_cfg',
                'val_evaluator'):
        cfg.pop(key, None)


def last_checkpoint(folder: str | os.PathLike) -> str | None:
    """Find the last whole checkpoint of a run.

    MMEngine names a checkpoint in ``last_checkpoint`` once it is written.

    Args:
        folder (str | os.PathLike): Work dir of the run. It may have moved
            since.

    Returns:
        str | None: File name, or None if there is none.
    """
    if not (Path(folder) / 'last_checkpoint').exists():
        return None
    name = Path(find_latest_checkpoint(str(folder)) or '').name
    checkpoint = Path(folder) / name
    return str(checkpoint) if checkpoint.is_file() else None


def _by_name(stages: dict) -> dict:
    """Leave out what is None; merge what the command line gave by number."""
    stages = {
        name: copy.deepcopy(stage)
        for name, stage in stages.items() if stage is not None
    }
    names = [name for name in stages if not name.isdigit()]
    for number in [name for name in stages if name.isdigit()]:
        if int(number) >= len(names):
            raise ValueError(
                f'there is no stage {number}: stages are numbered from 0 and '
                f'are {names}')
        name = names[int(number)]
        stages[name] = Config._merge_a_into_b(
            stages.pop(number), stages[name], allow_list_keys=True)
    return stages


def _write_labels(cfg: Config, name: str) -> None:
    """Turn the test of a config into one that writes labels."""
    if 'label_dataloader' not in cfg:
        raise ValueError(f'the config of stage {name!r} has no '
                         "`label_dataloader`, which task='label' needs")
    cfg.test_dataloader = cfg.label_dataloader
    cfg.test_evaluator = dict(
        type='PseudoLabelWriter',
        out_dir=f'{_PREFIX}{name}',
        **cfg.get('label_evaluator', {}))
    cfg.test_cfg = dict(type='PseudoLabelLoop')


def _say(message: str) -> None:
    print_log(message, logger='current', level=logging.INFO)


def _walk(node: Any, change: Any) -> Any:
    """Apply a function to all strings of a config."""
    if isinstance(node, dict):
        for key in list(node):
            node[key] = _walk(node[key], change)
        return node
    if isinstance(node, list | tuple):
        return type(node)(_walk(item, change) for item in node)
    return change(node) if isinstance(node, str) else node


def _references(node: Any) -> dict[str, str]:
    """Find all references in a config, each with the name of its stage."""
    found = {}

    def note(text: str) -> str:
        if text.startswith(_PREFIX):
            found[text] = text[len(_PREFIX):].partition('/')[0]
        return text

    _walk(copy.deepcopy(node), note)
    return found


def _relevant_settings(cfg: Config, task: str) -> dict:
    relevant = _TRAIN_SETTINGS if task == 'train' else _TEST_SETTINGS
    settings = {
        key: value
        for key, value in cfg.to_dict().items() if key in relevant
    }
    return json.loads(json.dumps(settings, default=repr, sort_keys=True))


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _changed_keys(old: Any, new: Any, prefix: str = '') -> list[str]:
    """Dotted names of the settings that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            name for key in sorted({*old, *new}, key=str)
            for name in _changed_keys(
                old.get(key), new.get(key), f'{prefix}.{key}')
        ]
    return [] if old == new else [prefix.lstrip('.') or 'everything']
