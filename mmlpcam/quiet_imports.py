"""Keep away what other packages say of parts that are not needed."""
import contextlib
import io
import warnings
from collections.abc import Iterator

_NOT_NEEDED = (
    'Fail to import ``MultiScaleDeformableAttention``',  # mmcv-lite
    'Could not import OneDL',
)
# Defaults of MMSegmentation that it warns of in every run.
_DEFAULTS = ('Default ``avg_non_ignore`` is False', 'The draw is False')


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Leave known lines out of what imports print, and known warnings.

    These stay away for good, and so in loader processes.

    Yields:
        None: The block may import OpenMMLab's packages.
    """
    for text in (*_NOT_NEEDED, *_DEFAULTS):
        warnings.filterwarnings('ignore', message=text)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            if not line.startswith(_NOT_NEEDED):
                print(line)
