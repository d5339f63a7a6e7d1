"""What one of several processes does for all."""
from collections.abc import Callable
from typing import TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

_Result = TypeVar('_Result')


def on_main_process(function: Callable[[], _Result]) -> _Result:
    """Call a function on the main process; all have its result or its error.

    All processes must call this. If one alone failed, the others would wait
    for it.

    Args:
        function (Callable): Takes nothing and returns what can be pickled.

    Returns:
        Any: Its result.

    Raises:
        Exception: What it raises; a RuntimeError with the same text in the
            other processes.
    """
    outcome: list = [None, None]
    failure: Exception | None = None
    if is_main_process():
        try:
            outcome[0] = function()
        except Exception as error:
            failure = error
            outcome[1] = f'{type(error).__name__}: {error}'
    broadcast_object_list(outcome)
    if failure is not None:
        raise failure
    if outcome[1] is not None:
        raise RuntimeError(f'the main process has stopped: {outcome[1]}')
    return outcome[0]
