"""Keep what other packages say at their import, of parts not needed, away."""
import contextlib
import io
import warnings
from collections.abc import Iterator

_NOT_NEEDED = (
    'Fail to import ``MultiScaleDeformableAttention``',  # mmcv-lite
    'Could not import OneDL',
)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Leave known lines out of warnings and of what imports print.

    Warnings stay away for good, and so in loader processes.

    Yields:
        None: The block may import OpenMMLab's packages.
    """
    for text in _NOT_NEEDED:
        warnings.filterwarnings('ignore', message=text)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            if not line.startswith(_NOT_NEEDED):
                print(line)
