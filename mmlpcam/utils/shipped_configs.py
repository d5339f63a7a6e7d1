"""Files that are installed with the package."""
import difflib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def config_path(name: str) -> str:
    """Find a config of mmlpcam, for ``_base_`` of a config elsewhere.

    MMEngine evaluates ``_base_``, in which it reads nothing but one
    expression, hence the import in the example.

    Args:
        name (str): Path below ``configs/``.

    Returns:
        str: Absolute path, inside the installed package or of the checkout.

    Raises:
        FileNotFoundError: If there is no such config.

    Example:
        >>> _base_ = [
        ...     __import__('mmlpcam').config_path('_base_/chains/lpcam.py'),
        ...     './my_model.py']
    """
    folder = PACKAGE / 'configs'
    if not folder.is_dir():  # a checkout has it beside the package
        folder = PACKAGE.parent / 'configs'
    path = folder / name
    if path.is_file():
        return str(path)
    names = sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob('*.py'))
    # all of that name, else names like it
    similar = [other for other in names if other.endswith(f'/{path.name}')
               ] or difflib.get_close_matches(name, names)
    raise FileNotFoundError(f'mmlpcam has no config {name!r}: ' + (
        f'did you mean {" or ".join(map(repr, similar))}?' if similar else
        f'give a path below {folder}, such as lpcam/deeplabv3_voc.py'))
