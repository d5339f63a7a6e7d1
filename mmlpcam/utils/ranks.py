"""What one of several processes does for all."""
from collections.abc import Callable

from mmengine.dist import broadcast_object_list, is_main_process


def run_on_main(function: Callable[[], None]) -> None:
    """Run a function on the main process; if it fails, fail on all.

    Were the others not told, they would wait for the main process until
    someone ends them. All processes must call this.

    Args:
        function (Callable): Function without arguments.

    Raises:
        Exception: On the main process what the function raised; on the
            others a RuntimeError.
    """
    error, text = None, [None]
    if is_main_process():
        try:
            function()
        except Exception as raised:
            error, text = raised, [str(raised)]
    broadcast_object_list(text)
    if error is not None:
        raise error
    if text[0] is not None:
        raise RuntimeError(f'the main process has failed: {text[0]}')
