"""Label sources as options of a tool, those of users included."""
import argparse
import difflib
import importlib
import inspect
from typing import Any

from mmseg.registry import TASK_UTILS

from mmlpcam.datasets import ImageLabelSource
from mmlpcam.utils import SettingsAction


def label_source_parser(required: bool = False) -> argparse.ArgumentParser:
    """Make a parent parser with ``--source`` and what belongs to it.

    The modules after ``--custom-imports`` on the command line are imported
    here, so that what they register is there for help and checks.

    Args:
        required (bool): Whether ``--source`` must be given. Defaults to
            False.

    Returns:
        argparse.ArgumentParser: One of the ``parents`` of a parser.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--custom-imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help='modules that register label sources or datasets of your own; '
        'their folder must be in PYTHONPATH')
    for name in parser.parse_known_args()[0].custom_imports:
        try:
            importlib.import_module(name)
        except ImportError as error:
            parser.error(f'--custom-imports {name}: {error}. The folder of '
                         'the module must be in PYTHONPATH')
    parser.add_argument(
        '--source', required=required, help='label source, see below')
    parser.add_argument(
        '--source-options',
        nargs='+',
        default={},
        action=SettingsAction,
        metavar='KEY=VALUE',
        help='its options, see below')
    return parser


def source_cfg(args: argparse.Namespace) -> dict[str, Any]:
    """Return the label source of a command line as a config has it.

    Args:
        args (argparse.Namespace): Of :func:`label_source_parser`.

    Returns:
        dict[str, Any]: 'type' and its options.
    """
    return dict(type=args.source, **args.source_options)


def describe_sources() -> str:
    """Return a line of help for each registered label source.

    Returns:
        str: Names and options.
    """
    return '\n'.join(f'  {name} {_takes(source)}'
                     for name, source in registered_sources().items())


def registered_sources() -> dict[str, type[ImageLabelSource]]:
    """Return all label sources of ``mmseg.registry.TASK_UTILS``.

    Returns:
        dict[str, type[ImageLabelSource]]: Classes by their names, sorted.
    """
    return {
        name: source
        for name, source in sorted(TASK_UTILS.module_dict.items())
        if isinstance(source, type) and issubclass(source, ImageLabelSource)
    }


def build_source(cfg: dict[str, Any]) -> ImageLabelSource:
    """Build the label source of a command line.

    Args:
        cfg (dict[str, Any]): Of :func:`source_cfg`.

    Returns:
        ImageLabelSource: The source.

    Raises:
        ValueError: If no such source is registered, or it does not take
            these options. The message says what it takes.
    """
    sources = registered_sources()
    options = dict(cfg)
    name = options.pop('type', None)
    if name not in sources:
        near = difflib.get_close_matches(str(name), sources) or list(sources)
        raise ValueError(
            f'--source: expected a label source, but got {name}. Registered '
            f'are: {", ".join(near)}. Import sources of your own with '
            '--custom-imports')
    try:
        _signature(sources[name]).bind(**options)
    except TypeError as error:
        given = ' '.join(f'{key}={value}' for key, value in options.items())
        raise ValueError(f'--source-options {given}: {error}; those of '
                         f'{name} are '
                         f'{_takes(sources[name])}') from error
    return sources[name](**options)


def _signature(source: type[ImageLabelSource]) -> inspect.Signature:
    if source.__init__ is object.__init__:  # it takes none
        return inspect.Signature()
    return inspect.signature(source)


def _takes(source: type[ImageLabelSource]) -> str:
    """Return the options of a source as they are typed."""
    words = [
        f'{each.name}=...'
        if each.default is each.empty else f'[{each.name}={each.default}]'
        for each in _signature(source).parameters.values()
    ]
    return ' '.join(words) or '(no options)'
