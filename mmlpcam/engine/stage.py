"""One run of a chain, what went into it, and what is known about it."""
import copy
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log
from torch import nn

from mmlpcam.evaluation import is_labeled
from mmlpcam.utils import (full_disk_at, on_main_process, release_memory,
                           write_json)
from mmlpcam.utils.names import listed
from .checkpoints import last_checkpoint
from .console import QuietRunner
from .contents import ContentReader, content_changes
from .distributed import init_distributed
from .loader_processes import stop_loader_processes
from .mixed_precision import init_amp
from .stage_inputs import (PREFIX, Input, comparable, drop_training,
                           find_inputs, list_files, references, relevant_cfg,
                           resolve, walk)
from .stage_state import (LastMetrics, changed_keys, digest_of, read_details,
                          read_state)


class Stage:
    """One run of a :class:`StagedRunner`.

    A stage is what went into it: its settings, the content of the data sets
    and files that it reads, and what the stages before it have made of that.
    ``stage.json`` in its folder holds this from its start on, and
    ``inputs.json`` the data in detail. The paths of the data do not count,
    nor does what only says how the work is done, such as ``num_workers``.

    Args:
        name (str): Name of the stage.
        task (str): 'train' or 'test'.
        cfg (Config): Its config, with references to resolve.
        earlier (Sequence[Stage]): The stages before. It may grow later by
            this one and those that follow.
        contents (ContentReader): Reads the data.
        title (str, optional): What a report calls it. Defaults to None: by
            its name.

    Raises:
        ValueError: If a reference names no earlier stage.
    """

    def __init__(self,
                 name: str,
                 task: str,
                 cfg: Config,
                 earlier: Sequence['Stage'],
                 contents: ContentReader,
                 title: str | None = None) -> None:
        self.name = name
        self.title = title or name
        self.task = task
        self.cfg = cfg
        self._contents = contents
        self._chain = earlier
        self._folders = {stage.name: Path(stage.work_dir) for stage in earlier}
        self._folders[name] = Path(cfg.work_dir)
        relevant = relevant_cfg(cfg, task)
        self._settings = comparable(relevant)
        self._sources = [
            source for source in find_inputs(relevant)
            if name not in references(source.node).values()
        ]
        settings = relevant_cfg(cfg, 'train', 'test')
        for text, parent in references(settings).items():
            if parent not in self._folders:
                raise ValueError(
                    f'{text!r} in the config of stage {name!r} must name one '
                    f'of the stages so far: {list(self._folders)}')
        used = references(relevant).values()
        self._parents = [stage for stage in earlier if stage.name in used]
        self._inputs: dict[str, dict] = {}

    @property
    def work_dir(self) -> str:
        """str: Folder of the stage."""
        return self.cfg.work_dir

    @property
    def writes_masks(self) -> bool:
        """bool: Whether it leaves a mask for each image in ``masks/``."""
        loop = self.cfg.get('test_cfg') or {}
        return self.task == 'test' and loop.get('type') == 'PseudoLabelLoop'

    @property
    def state_file(self) -> Path:
        """Path: What is known about the stage from earlier runs."""
        return Path(self.work_dir) / 'stage.json'

    @property
    def digest(self) -> str:
        """str: Digest of its settings and of the stages it refers to."""
        return digest_of(
            [self._settings, [parent.digest for parent in self._parents]])

    def is_finished(self) -> bool:
        """Whether the stage was run to its end with this config and data.

        All processes must call this.

        Returns:
            bool: Whether all that it makes is there, so that it is skipped.

        Raises:
            RuntimeError: If it was started with other settings or data, if
                the stage that it was made from is gone, or if its result is.
            ValueError: If its state file is not as this class writes it.
        """
        return on_main_process(self._is_finished)

    def resolved_cfg(self) -> Config:
        """Return the config with all references to stages resolved.

        Returns:
            Config: A copy.

        Raises:
            FileNotFoundError: If an earlier stage has no checkpoint yet.
        """
        cfg = copy.deepcopy(self.cfg)
        cfg._cfg_dict = walk(cfg._cfg_dict, self._resolve)
        return cfg

    def run(self) -> nn.Module | None:
        """Run or continue the stage.

        Returns:
            nn.Module | None: The model after training.

        Raises:
            OSError: If the disk is full. It names the file, or the folder of
                the stage.
        """
        # MMEngine writes logs there
        with full_disk_at(self.work_dir):
            return self._run()

    def _run(self) -> nn.Module | None:
        cfg = self.resolved_cfg()
        # loggers and visualizers are found by name in the whole process
        cfg.experiment_name = self.work_dir
        if 'visualizer' in cfg:
            cfg.visualizer.name = self.work_dir
        init_distributed(cfg)
        init_amp(cfg)
        was_started = on_main_process(self._start)
        metrics = LastMetrics()
        if self.task == 'train':
            checkpoint = last_checkpoint(self.work_dir)
            cfg.resume = checkpoint is not None
            if checkpoint is not None:
                cfg.load_from = checkpoint
            elif was_started:
                print_log(
                    f'{self.work_dir} holds no checkpoint yet: the stage '
                    'begins anew',
                    logger='current')
            runner = QuietRunner.from_cfg(cfg)
            runner.register_hook(metrics)
            model = runner.train()
            if runner.val_loop is not None and not metrics.values:
                # it was interrupted after the last checkpoint
                runner.val_loop.run()
        else:
            cfg.resume = False
            drop_training(cfg)
            runner = QuietRunner.from_cfg(cfg)
            runner.register_hook(metrics)
            model = None
            runner.test()
        barrier()
        on_main_process(lambda: self._write_state(
            finished=True,
            outputs=self._read_outputs(),
            metrics=metrics.values))
        stop_loader_processes(runner)
        del runner
        release_memory()
        return model

    def _start(self) -> bool:
        """Write down what goes in; say if it was started before."""
        was_started = self.state_file.exists()
        self._inputs = self._read_inputs()
        self._write_state(finished=False)
        self._contents.save()
        return was_started

    def _is_finished(self) -> bool:
        state = self._read_state()
        if state is None:
            for name in ('last_checkpoint', 'manifest.json'):
                if (Path(self.work_dir) / name).exists():
                    raise RuntimeError(
                        f'{self.work_dir} holds results ({name}), but no '
                        f'{self.state_file.name} that tells what they were '
                        f'made from. {self._advice()}')
            return False
        self._compare_settings(state)
        gone = [
            stage.name for stage in self._ancestors()
            if stage.task == 'train' and not stage.state_file.exists()
        ]
        if gone:
            raise RuntimeError(
                f'stage {self.name!r} in {self.work_dir} was made from a run '
                f'of stage {gone[0]!r} that is gone: it would not fit to a '
                f'new one. {self._advice()}')
        pending = [
            parent.name for parent in self._parents
            if not parent._is_finished()
        ]
        self._compare_inputs(state, pending)
        if pending or not state['finished']:
            return False
        return self._has_outputs(state)

    def _compare_settings(self, state: dict) -> None:
        changed = changed_keys(state['settings'], self._settings)
        if changed:
            raise self._differs('another configuration: its settings differ '
                                f'in {", ".join(changed)}')
        if state['digest'] != self.digest:
            raise self._differs(
                'another configuration: a stage that it builds on has changed')

    def _compare_inputs(self, state: dict, pending: Sequence[str]) -> None:
        self._inputs = self._read_inputs(pending)
        waiting = {
            source.name
            for source in self._sources if self._waits(source, pending)
        }
        differ = [
            name for name in sorted({*state['inputs'], *self._inputs})
            if name not in waiting and state['inputs'].get(name) !=
            (digest_of(self._inputs[name]) if name in self._inputs else None)
        ]
        self._contents.save()
        if differ:
            raise self._differs('other data: ' + '; '.join(
                self._describe(name, state['inputs']) for name in differ))

    def _describe(self, name: str, digests: dict) -> str:
        """Say how an input differs from what it was."""
        details = read_details(self._details_file)
        old, new = details.get(name), self._inputs.get(name)
        phrases = ['it differs']
        # else the details are of another time
        if (None if old is None else digest_of(old)) == digests.get(name):
            phrases = content_changes(old, new)
        files = [
            self._resolve(path) for source in self._sources
            if source.name == name for path in
            (list_files(source.node) if source.is_dataset else [source.node])
        ]
        where = f'{name} ({", ".join(files)})' if files else name
        return f'{where}: {", ".join(phrases)}'

    def _differs(self, how: str) -> RuntimeError:
        return RuntimeError(f'stage {self.name!r} in {self.work_dir} was '
                            f'started with {how}. {self._advice()}')

    def _advice(self) -> str:
        """Say which folders to remove for a run that fits together."""
        folders = [
            str(stage.work_dir) for stage in self._chain
            if (stage is self or self in stage._ancestors())
            and Path(stage.work_dir).exists()
        ]
        return ('Choose another --work-dir, or remove '
                f'{" and ".join(folders)} to run '
                f'{"these stages" if len(folders) > 1 else "it"} anew')

    def _ancestors(self) -> list['Stage']:
        """Return the stages that this one builds on, the first ones first."""
        names = set()
        found = list(self._parents)
        while found:
            stage = found.pop()
            names.add(stage.name)
            found += stage._parents
        return [stage for stage in self._chain if stage.name in names]

    def _waits(self, source: Input, pending: Sequence[str]) -> bool:
        return not set(references(source.node).values()).isdisjoint(pending)

    def _read_inputs(self, pending: Sequence[str] = ()) -> dict[str, dict]:
        """Read all that does not come from stages which are not finished."""
        found: dict[str, dict | None] = {}
        for name, node, is_dataset in self._sources:
            if self._waits(Input(name, node, is_dataset), pending):
                continue
            node = walk(copy.deepcopy(node), self._resolve)
            if is_dataset:
                found[name] = self._contents.dataset(
                    node, self.cfg.get('default_scope', 'mmseg'))
            elif os.path.isdir(node):
                found[name] = self._contents.folder(node)
            else:
                found[name] = dict(content=self._contents.file(node))
        # as they will be read back: JSON has no tuples
        return json.loads(
            json.dumps({
                name: content
                for name, content in found.items() if content is not None
            }))

    def _read_outputs(self) -> dict[str, str | None]:
        """Tell what the stage has left for later ones."""
        own = f'{PREFIX}{self.name}/'
        paths = [
            self._resolve(text) for text in references(self.cfg._cfg_dict)
            if text.startswith(own) and not text.endswith('/last_checkpoint')
        ]
        if self.task == 'train':
            paths.append(last_checkpoint(self.work_dir) or '')
        return {
            os.path.relpath(path, self.work_dir): self._contents.file(path)
            for path in paths if os.path.isfile(path)
        }

    def _has_outputs(self, state: dict) -> bool:
        """Count the results of a finished stage, rather than believe it.

        Raises:
            RuntimeError: If those of a training are gone. Others are made
                again.
        """
        lacking = [
            name for name, content in state['outputs'].items()
            if self._contents.file(Path(self.work_dir) / name) != content
        ]
        if self.task == 'train' and lacking:
            raise RuntimeError(
                f'stage {self.name!r} in {self.work_dir} is finished, but its '
                f'{lacking[0]} is missing or not as it was written: put it '
                f'back. {self._advice()}')
        if self.writes_masks:
            writer = self.cfg.test_evaluator
            folder = self._resolve(writer.out_dir)
            images = self._inputs['test_dataloader.dataset']['images']
            lacking += [
                image[0] for image in images if
                not is_labeled(folder, image[0], writer.get(
                    'save_maps', False), writer.get('extra_map_types', ()))
            ]
        if lacking:
            print_log(
                f'stage {self.name!r} was finished, but lacks {len(lacking)} '
                f'of its files, or they were cut: {listed(lacking)}. They are '
                'made again',
                logger='current',
                level=logging.WARNING)
        return not lacking

    def _resolve(self, text: str) -> str:
        return resolve(text, self._folders, self.name)

    @property
    def _details_file(self) -> Path:
        return self.state_file.with_name('inputs.json')

    def _read_state(self) -> dict | None:
        if not self.state_file.exists():
            return None
        return read_state(self.state_file, self._advice())

    def _write_state(self,
                     finished: bool,
                     outputs: dict | None = None,
                     metrics: dict | None = None) -> None:
        if not finished:
            write_json(self._details_file, self._inputs)
        write_json(
            self.state_file,
            dict(
                name=self.name,
                finished=finished,
                digest=self.digest,
                settings=self._settings,
                inputs={
                    name: digest_of(content)
                    for name, content in self._inputs.items()
                },
                outputs=outputs or {},
                metrics=metrics or {}))
