"""What the parts of the preflight share."""
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# A file of an earlier stage, in the copy of a config that is looked at: it
# cannot be there yet. Not the prefix of StagedRunner, which datasets refuse.
LATER = 'later-stage:/'
_PASSED_ON = (FileNotFoundError, PermissionError, TypeError, RuntimeError)


@contextmanager
def named(where: str) -> Iterator[None]:
    """Say in an error what it is about.

    Args:
        where (str): Stage, or setting; '' says nothing.

    Yields:
        None: Errors of the block get the words in front.
    """
    try:
        yield
    except Exception as error:
        if not where:
            raise
        kind = next((each for each in _PASSED_ON if isinstance(error, each)),
                    ValueError)
        # a KeyError quotes its own message
        text = error.args[0] if isinstance(error,
                                           KeyError) and error.args else error
        raise kind(f'{where}: {text}') from error


def texts(node: Any) -> Iterator[str]:
    """Yield all strings in a config.

    Args:
        node (Any): Config, or a part of one.

    Yields:
        str: The values, without the keys.
    """
    if isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, list | tuple):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def find_type(registry: Any, cfg: Mapping) -> Any:
    """Look the type of a config up.

    Args:
        registry (Registry): Where it is registered.
        cfg (Mapping): Config of one object.

    Returns:
        Any: Class or function.

    Raises:
        ValueError: If there is none.
    """
    if not isinstance(cfg, Mapping) or 'type' not in cfg:
        raise ValueError(f'expected a dict with `type`, but got {cfg!r}')
    kind = cfg['type']
    found = registry.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise ValueError(f'there is no {registry.name} {kind!r}: check how '
                         'its `type` is written, and custom_imports')
    return found


def check_arguments(registry: Any, cfg: Mapping) -> None:
    """Check the type of a config and the names of its arguments.

    Args:
        registry (Registry): Where the type is registered.
        cfg (Mapping): Config of one object.

    Raises:
        TypeError: If there is an argument that it does not take.
        ValueError: If there is no such type.
    """
    known = inspect.signature(find_type(registry, cfg)).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    unknown = [key for key in cfg if key not in known and key != 'type']
    if unknown:
        raise TypeError(
            f'{cfg["type"]} has no argument {", ".join(unknown)}; it takes '
            f'{", ".join(known)}')
