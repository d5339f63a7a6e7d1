"""Which part of a config is a setting, and which names a file."""
import copy
import json
import os.path as osp
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.hooks import EarlyStoppingHook
from mmseg.registry import HOOKS

from .checkpoints import last_checkpoint
from .contents import is_dataset

PREFIX = 'stage://'
"""str: What a reference to a stage starts with."""

# What decides the outcome of a stage; all else says where and how loudly it
# runs.
_TEST_SETTINGS = ('model', 'data_preprocessor', 'load_from', 'test_dataloader',
                  'test_evaluator', 'test_cfg')
_TRAIN_SETTINGS = ('model', 'data_preprocessor', 'load_from',
                   'train_dataloader', 'train_cfg', 'optim_wrapper',
                   'param_scheduler', 'auto_scale_lr', 'custom_hooks',
                   'randomness', 'val_dataloader', 'val_evaluator', 'val_cfg')
_SETTINGS = dict(train=_TRAIN_SETTINGS, test=_TEST_SETTINGS)
# What only says how the work is done.
_IDLE_SETTINGS = ('num_workers', 'persistent_workers', 'pin_memory',
                  'pin_memory_device', 'prefetch_factor', 'timeout',
                  'multiprocessing_context', 'check_files', 'lazy_init',
                  'collect_device')
_PATH_KEYS = ('checkpoint', 'load_from', 'pretrained')
_PATH_ENDS = ('_dir', '_file', '_path', '_root')
_OUTPUT_STARTS = ('out', 'save', 'log')
# The place of a path in the settings: what lies there counts.
_PATH = '<path>'


class Input(NamedTuple):
    """What a stage reads.

    Attributes:
        name (str): Dotted name of the setting.
        node (Any): The path, or the config of the data set.
        is_dataset (bool): Which of the two it is.
    """
    name: str
    node: Any
    is_dataset: bool


def relevant_cfg(cfg: Config, *tasks: str) -> dict:
    """Take what decides the outcome of a stage out of its config.

    Args:
        cfg (Config): Its config.
        *tasks (str): 'train', 'test', or both for what decides either.

    Returns:
        dict: A copy of that part.
    """
    relevant = {name for task in tasks for name in _SETTINGS[task]}
    return {
        key: value
        for key, value in cfg.to_dict().items() if key in relevant
    }


def comparable(node: Any, key: str = '') -> Any:
    """Turn a config into settings to compare.

    Paths give way to a placeholder, since the same files may lie elsewhere
    another day; what only says how the work is done is left out.

    Args:
        node (Any): The config, or a part.
        key (str): Key of that part. Defaults to ''.

    Returns:
        Any: What JSON can hold.
    """
    if isinstance(node, dict):
        return {
            str(each): comparable(value, str(each))
            for each, value in node.items() if each not in _IDLE_SETTINGS
        }
    if isinstance(node, list | tuple):
        return [comparable(item, key) for item in node]
    if isinstance(node, str):
        return _PATH if _is_path(key, node) else node
    return json.loads(json.dumps(node, default=repr))


def find_inputs(node: Any, name: str = '') -> Iterator[Input]:
    """Find what a config has read: data sets, files, and folders of models.

    Folders elsewhere, such as those of hooks, may be written to, and are left
    alone unless they are those of another stage.

    Args:
        node (Any): The config, or a part.
        name (str): Dotted name of that part. Defaults to ''.

    Yields:
        Input: One of them.
    """
    if is_dataset(node):
        yield Input(name, node, True)
        # what lies behind the other settings, the data set tells itself
        yield from _in_pipelines(node, name)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from find_inputs(value, f'{name}.{key}'.lstrip('.'))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from find_inputs(value, f'{name}.{index}')
    elif isinstance(node, str):
        key = _last_key(name)
        if not key.startswith(_OUTPUT_STARTS) and (
                node.startswith(PREFIX) or osp.isfile(node) or
            (osp.isdir(node) and name.startswith('model.')
             and _is_path(key, node))):
            yield Input(name, node, False)


def _in_pipelines(node: Any, name: str) -> Iterator[Input]:
    if isinstance(node, dict):
        for key, value in node.items():
            search = find_inputs if key == 'pipeline' else _in_pipelines
            yield from search(value, f'{name}.{key}')
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _in_pipelines(value, f'{name}.{index}')


def list_files(node: Any) -> list[str]:
    """List the paths in the config of a data set, for messages.

    Args:
        node (Any): The config.

    Returns:
        list[str]: Names of lists and tables, then of folders.
    """
    found: dict[str, None] = {}
    for key in ('ann_file', 'csv_file', 'json_file', 'npy_file', 'xml_file',
                'ann_dir', 'label_dir', 'true_label_dir'):

        def note(node: Any, key: str = key) -> None:
            if isinstance(node, dict):
                if isinstance(node.get(key), str) and node[key]:
                    found[node[key]] = None
                node = list(node.values())
            if isinstance(node, list | tuple):
                for item in node:
                    note(item)

        note(node)
    return list(found)


def walk(node: Any, change: Callable[[str], str]) -> Any:
    """Apply a function to all strings of a config, in place.

    Args:
        node (Any): The config, or a part.
        change (Callable): Takes and returns a string.

    Returns:
        Any: The node, or what takes its place.
    """
    if isinstance(node, dict):
        for key in list(node):
            node[key] = walk(node[key], change)
        return node
    if isinstance(node, list | tuple):
        return type(node)(walk(item, change) for item in node)
    return change(node) if isinstance(node, str) else node


def stage_of(text: str) -> str | None:
    """Return the stage that a string of a config refers to.

    Args:
        text (str): The string.

    Returns:
        str | None: Name of the stage; None if it is no reference.
    """
    if not text.startswith(PREFIX):
        return None
    return text.removeprefix(PREFIX).partition('/')[0]


def references(node: Any) -> dict[str, str]:
    """Find all references in a config, each with the name of its stage.

    Args:
        node (Any): The config, or a part.

    Returns:
        dict[str, str]: Name of the stage by reference.
    """
    found = {}

    def note(text: str) -> str:
        stage = stage_of(text)
        if stage is not None:
            found[text] = stage
        return text

    walk(copy.deepcopy(node), note)
    return found


def resolve(text: str, folders: Mapping[str, Path], stage: str) -> str:
    """Turn a reference into the path that it names.

    Args:
        text (str): A string of a config.
        folders (Mapping[str, Path]): Work dirs of the stages so far.
        stage (str): Name of the stage that has it in its config.

    Returns:
        str: The path; any other string as it is, and so a reference to
        another stage, which only a variable that nothing reads can hold.

    Raises:
        FileNotFoundError: If the stage has no checkpoint yet.
    """
    if not text.startswith(PREFIX):
        return text
    name, _, rest = text[len(PREFIX):].partition('/')
    if name not in folders:
        return text
    if rest == 'last_checkpoint':
        checkpoint = last_checkpoint(folders[name])
        if checkpoint is None:
            raise FileNotFoundError(
                f'stage {stage!r} needs a checkpoint of stage {name!r}, but '
                f'{folders[name]} has none: give that stage a CheckpointHook')
        return checkpoint
    return str(folders[name] / rest)


def _is_path(key: str, text: str) -> bool:
    if not text or '://' in text:
        return False
    return (key in _PATH_KEYS or key.endswith(_PATH_ENDS)
            or (osp.sep in text and osp.exists(text)))


def _last_key(name: str) -> str:
    """Return the last part of a dotted name that is no number."""
    return next(
        (part for part in reversed(name.split('.')) if not part.isdigit()), '')


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
    if cfg.get('custom_hooks'):
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if not _stops_training(hook)
        ]


def _stops_training(hook: Any) -> bool:
    """Whether it is an ``EarlyStoppingHook``, which asks for a training."""
    kind = hook.get('type') if isinstance(hook, Mapping) else type(hook)
    found = HOOKS.get(kind) if isinstance(kind, str) else kind
    return isinstance(found, type) and issubclass(found, EarlyStoppingHook)
