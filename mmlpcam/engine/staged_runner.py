"""Several MMEngine runs as one: classifier, labels, segmentor."""
import copy
import logging
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.registry import RUNNERS
from torch import nn

from mmlpcam.utils import check_writable
from .contents import ContentReader
from .distributed import init_distributed
from .lock import run_lock
from .mixed_precision import has_amp, use_amp
from .preflight import Run, preflight
from .stage import Stage
from .stage_inputs import PREFIX

_FINAL_STAGE = 'segmentor'
_STAGE_KEYS = ('config', 'task')
# What a stage that writes labels sets itself.
_LABEL_SETS = ('test_dataloader', 'test_evaluator', 'test_cfg')
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
    is never mixed with another configuration or with other data: if those of
    a started stage have changed, an error says how, and which folders to
    remove, see :class:`Stage`.

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
        self._contents = ContentReader(
            Path(self.cfg.work_dir) / '.contents.json')
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

        Raises:
            RuntimeError: If another run uses the work dir, see
                :func:`run_lock`.
        """
        with run_lock(self.cfg.work_dir):
            return self._run_stages()

    def _run_stages(self) -> nn.Module | None:
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
            self._contents.forget_datasets()
            _say(f'{title} is done')
        if model is None:
            _say(f'nothing to do: all stages in {self.cfg.work_dir} are '
                 'finished')
        return model

    def _load_stages(self) -> list[Stage]:
        main = self.cfg
        work_dir = Path(main.work_dir).absolute()
        stages: list[Stage] = []
        contents = self._contents
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
            stages.append(Stage(name, task, cfg, stages, contents))
        final = copy.deepcopy(main)
        final.work_dir = str(work_dir / _FINAL_STAGE)
        if has_amp(main):
            use_amp(final)
        stages.append(Stage(_FINAL_STAGE, 'train', final, stages, contents))
        return stages

    def _check_datasets(self) -> None:
        """Meet bad input before the first stage rather than hours later."""
        preflight([
            Run(stage.name, stage.task, stage.cfg) for stage in self.stages
            if not stage.is_finished()
        ])


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
        out_dir=f'{PREFIX}{name}',
        **cfg.get('label_evaluator', {}))
    cfg.test_cfg = dict(type='PseudoLabelLoop')


def _say(message: str) -> None:
    print_log(message, logger='current', level=logging.INFO)
