"""Command lines of the tools."""
import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction


def add_cfg_options(
        parser: argparse.ArgumentParser,
        description: str = 'settings to override, as key=value') -> None:
    """Add ``--cfg-options``, as all tools with a config take it.

    Args:
        parser (argparse.ArgumentParser): Parser of the tool.
        description (str): For the help. Defaults to words on any config.
    """
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help=description)


def read_config(args: argparse.Namespace) -> Config:
    """Read a config with its overrides.

    Args:
        args (argparse.Namespace): Arguments of a tool: ``config`` and
            ``cfg_options``, see :func:`add_cfg_options`.

    Returns:
        Config: The config.
    """
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    return cfg


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
    """
    cfg = read_config(args)
    cfg.launcher = args.launcher
    cfg.work_dir = getattr(args, 'work_dir',
                           None) or cfg.get('work_dir') or str(
                               Path('work_dirs') / Path(args.config).stem)
    return cfg
