"""Several MMEngine runs as one: classifier, labels, segmentor."""
import copy
import logging
import time
from datetime import timedelta
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmseg.registry import RUNNERS
from torch import nn

from mmlpcam.utils import check_writable, read_config, user_errors
from .console import quiet_console
from .contents import ContentReader
from .distributed import init_distributed
from .lock import run_lock
from .mixed_precision import has_amp, use_amp
from .preflight import Run, preflight
from .stage import Stage
from .stage_order import ordered_stages
from .stage_tasks import set_up_task

_FINAL_STAGE = 'segmentor'
_NEEDED_KEYS = ('config', 'task')
_STAGE_KEYS = (*_NEEDED_KEYS, 'after', 'maps', 'title')
# The main config sets these for all stages, unless a stage sets its own.
_INHERITED = ('launcher', 'env_cfg', 'log_level', 'randomness', 'visualizer')


@RUNNERS.register_module()
class StagedRunner:
    """Run the stages that a config names, then the config itself.

    Set ``runner_type='StagedRunner'`` and ``stages``, a dict from the name
    of a stage, which is also that of its folder, to a dict with

    - config (str): Config file of the stage, or its name in the dict
      ``stage_configs``, where several stages share one.
    - task (str): 'train'; 'test'; 'label', which writes a mask for each
      image of the ``label_dataloader`` of that config into the folder of the
      stage (:class:`PseudoLabelLoop`; the writer takes its options from
      ``label_evaluator``, and with ``save_maps`` stores the maps of
      ``extra_map_types`` too); 'score', which runs the test of that config
      on stored maps (:class:`~mmlpcam.models.StoredMaps`), and leaves their
      scores in ``scores.json``; or 'tags', which scores the image labels of
      its ``tag_dataloader`` (:class:`~mmlpcam.evaluation.ImageLabelMetric`,
      which takes options from ``tag_evaluator``) and leaves
      ``tag_scores.json``.
    - maps (str): Earlier 'label' stage whose stored maps take the place of
      the model. A 'score' stage needs it; a 'label' stage with it writes
      masks of these maps at a ``model.test_cfg.bg_thr`` of its own.
    - after (str, optional): Stage that it runs directly after, see
      :func:`ordered_stages`: so a leaf config puts a stage between others.
      Defaults to None: stages run as they are written.
    - title (str, optional): How a report calls its masks and scores.
      Defaults to its name.
    - anything else: overrides, merged into that config.

    A stage that is None is left out, such as ``seed`` where there are no
    masks to score maps with.

    On the command line a stage may be given by its name or its number in the
    order in which stages run: ``stages.classifier.train_cfg.max_epochs=2`` is
    ``stages.0.train_cfg.max_epochs=2``.

    Each stage is an ordinary MMEngine run in ``<work_dir>/<name>``; the
    config itself trains last, in ``<work_dir>/segmentor``, if it has a
    ``model``. A string that starts with ``stage://<name>/`` stands for a file
    in the folder of an earlier stage; ``stage://<name>/last_checkpoint`` is
    its last checkpoint.

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
        quiet_console(MMLogger.get_current_instance())
        with run_lock(self.cfg.work_dir):
            return self._run_stages()

    def _run_stages(self) -> nn.Module | None:
        with user_errors():
            self._check_datasets()
        model, ran = None, False
        for number, stage in enumerate(self.stages, 1):
            title = f'stage {number}/{len(self.stages)} {stage.name!r}'
            with user_errors():
                finished = stage.is_finished()
            if finished:
                _announce(f'{title} is finished: skipped ({stage.work_dir})')
                continue
            _announce(f'{title} starts in {stage.work_dir}')
            start = time.monotonic()
            ran = True
            model = None  # frees the memory of the stage before
            model = stage.run()
            self._contents.forget_datasets()
            seconds = round(time.monotonic() - start)
            _announce(f'{title} is done in {timedelta(seconds=seconds)}')
        if not ran:
            _announce(f'nothing to do: all stages in {self.cfg.work_dir} are '
                      'finished')
        return model

    def _load_stages(self) -> list[Stage]:
        main = self.cfg
        work_dir = Path(main.work_dir).absolute()
        stages: list[Stage] = []
        contents = self._contents
        for name, entry in ordered_stages(main.get('stages', {})).items():
            if any(not entry.get(key) for key in _NEEDED_KEYS):
                raise ValueError(
                    f'stage {name!r} needs {" and ".join(_NEEDED_KEYS)}, but '
                    f'got {dict(entry)}')
            if name == _FINAL_STAGE or '/' in name:
                raise ValueError(
                    f'stage name {name!r} holds a slash or is taken '
                    f'({_FINAL_STAGE!r} is the main config itself)')
            cfg = read_config(
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
            task = set_up_task(cfg, name, entry, stages)
            if has_amp(main):
                use_amp(cfg, like=main.optim_wrapper)
            stages.append(
                Stage(name, task, cfg, stages, contents, entry.get('title')))
        if 'model' not in main:  # the last stage is one of those above
            return stages
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


def _announce(message: str) -> None:
    print_log(message, logger='current', level=logging.INFO)
