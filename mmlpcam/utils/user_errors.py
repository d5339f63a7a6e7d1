"""Errors that a user can mend, which need no traceback."""
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_KINDS = (OSError, RuntimeError, TypeError, ValueError)
_MARK = '_mmlpcam_user_error'


@contextmanager
def user_errors() -> Iterator[None]:
    """Mark the errors of a block of checks: :func:`run_tool` prints them.

    Yields:
        None: Errors of the block stay what they are, and go on.
    """
    try:
        yield
    except _KINDS as error:
        setattr(error, _MARK, True)
        raise


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; say in words what a user can mend.

    Args:
        main (Callable): Does the work.

    Raises:
        SystemExit: With status 1 after an error of :func:`user_errors`, whose
            message goes to standard error. All others are raised as they are.
    """
    try:
        main()
    except _KINDS as error:
        if not hasattr(error, _MARK):
            raise
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
