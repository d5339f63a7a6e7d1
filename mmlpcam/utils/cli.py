"""Command lines of the tools."""
import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from .files import reading
from .user_errors import user_errors


class SettingsAction(DictAction):
    """MMEngine's action for ``key=value``, with an error in words."""

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: str | None = None) -> None:
        """Parse the values."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            parser.error(f'{option_string}: expected key=value, a list as '
                         f'key=[1,2], but got {" ".join(values)} ({error})')


def add_cfg_options(
        parser: argparse.ArgumentParser,
        description: str = 'settings to override, as key=value') -> None:
    """Add ``--cfg-options``, as all tools with a config take it.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        description (str): For the help. Defaults to words on any config.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=SettingsAction, help=description)


def parse_run_args(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add what every tool that runs a config takes, and parse.

    Args:
        parser (argparse.ArgumentParser): Parser with the arguments of the
            tool itself.

    Returns:
        argparse.Namespace: All arguments. ``LOCAL_RANK`` is set in the
        environment, where MMEngine looks for it.
    """
    add_cfg_options(
        parser,
        'settings to override, as key=value; a stage of a chain by its name '
        'or number: stages.classifier.train_cfg.max_epochs=2')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help='set by torch.distributed.launch')
    args = parser.parse_args()
    if args.launcher == 'none' and int(os.environ.get('WORLD_SIZE', 1)) > 1:
        parser.error(
            f'this is one of {os.environ["WORLD_SIZE"]} processes of a '
            'launcher, but --launcher is none: they would all do the same. '
            'Add --launcher pytorch')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def read_run_config(args: argparse.Namespace) -> Config:
    """Read the config of a run.

    Args:
        args (argparse.Namespace): Of :func:`parse_run_args`: ``config``,
            ``cfg_options``, ``launcher`` and, where the tool has it,
            ``work_dir``.

    Returns:
        Config: With the overrides; ``work_dir`` is ``work_dirs/<config
        name>`` where neither the arguments nor the config name one.

    Raises:
        OSError | ValueError: See :func:`read_config`. They need no traceback
            (:func:`user_errors`).
    """
    with user_errors():
        cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = getattr(args, 'launcher', 'none')
    cfg.work_dir = getattr(args, 'work_dir',
                           None) or cfg.get('work_dir') or str(
                               Path('work_dirs') / Path(args.config).stem)
    return cfg


def read_config(path: str | os.PathLike,
                options: dict[str, Any] | None = None) -> Config:
    """Read a config file.

    Args:
        path (str | os.PathLike): File name.
        options (dict[str, Any], optional): Settings to override, by their
            names with dots. Defaults to None.

    Returns:
        Config: With the overrides.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no config, one that it builds on is missing, or
            the overrides do not fit it.
    """
    with reading(path, 'config', 'correct it'):
        cfg = Config.fromfile(path)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, ValueError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise ValueError(
            f'--cfg-options {options} do not fit {path}: {text}') from error
    return cfg
