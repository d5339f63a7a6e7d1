"""What a stage notes in its folder."""
import hashlib
import json
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from mmlpcam.utils import read_json

_STATE_SHAPE = dict(
    name=str,
    finished=bool,
    digest=str,
    settings=dict,
    inputs=dict,
    outputs=dict,
    metrics=dict)


def read_state(path: Path, advice: str) -> dict:
    """Read a state file.

    Args:
        path (Path): File name.
        advice (str): What to do if it is damaged: the end of the message.

    Returns:
        dict: Its content.

    Raises:
        ValueError: If it holds something else than a stage writes.
    """
    state = read_json(path)
    if not isinstance(state, dict) or any(
            not isinstance(state.get(key), kind)
            for key, kind in _STATE_SHAPE.items()):
        raise ValueError(f'{path} is not as this version writes it: expected '
                         f'an object with {", ".join(_STATE_SHAPE)}, but got '
                         f'{str(state)[:80]}. {advice}')
    return state


def read_details(path: Path) -> dict:
    """Read details for a message; without them it is shorter.

    Args:
        path (Path): File name.

    Returns:
        dict: The inputs of the stage; empty where they cannot be read.
    """
    try:
        details = read_json(path)
    except (OSError, ValueError):
        return {}
    return details if isinstance(details, dict) else {}


def digest_of(content: Any) -> str:
    """Digest what JSON can hold.

    Args:
        content (Any): The content.

    Returns:
        str: 16 hexadecimal digits.
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changed_keys(old: Any, new: Any, prefix: str = '') -> list[str]:
    """Find the settings that differ.

    Args:
        old (Any): What they were.
        new (Any): What they are.
        prefix (str): Name of this part. Defaults to ''.

    Returns:
        list[str]: Their dotted names.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            name for key in sorted({*old, *new}, key=str)
            for name in changed_keys(
                old.get(key), new.get(key), f'{prefix}.{key}')
        ]
    return [] if old == new else [prefix.lstrip('.') or 'everything']


class LastMetrics(Hook):
    """Remember what the last evaluation of a run returned."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def _keep(self, metrics: dict | None) -> None:
        self.values = {
            key: float(value)
            for key, value in (metrics or {}).items()
        }

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Keep the scores of a validation."""
        self._keep(metrics)

    def after_test_epoch(self, runner, metrics=None) -> None:
        """Keep the scores of a test."""
        self._keep(metrics)
