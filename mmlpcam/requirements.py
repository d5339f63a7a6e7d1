"""Version gate for the OpenMMLab packages.

They exist as two distributions with one import name, which
``install_requires`` cannot express, so they are checked at import.
"""
import importlib
import re

# import name -> (lowest version, first version that is too new, name of the
# original distribution, name of the maintained one)
_REQUIRED = {
    'mmengine': ('0.10.4', '1.0.0', 'mmengine', 'onedl-mmengine'),
    'mmcv': ('2.0.0', '3.0.0', 'mmcv', 'onedl-mmcv'),
    'mmseg': ('1.2.0', '2.0.0', 'mmsegmentation', 'onedl-mmsegmentation'),
}


def check_requirements() -> None:
    """Check that a supported OpenMMLab stack is installed.

    Raises:
        ImportError: If a package is missing, does not import, or has a
            version out of range. The message names what is installed, what
            is needed, and a command that installs it.
    """
    for module, (lowest, below, original, maintained) in _REQUIRED.items():
        needed = (f'mmlpcam needs {original} (or {maintained}) >= {lowest}, '
                  f'< {below}')
        install = (
            f'Install it with: MMCV_WITH_OPS=0 pip install -U {maintained} '
            f'(or, to stay with the original distribution: pip install '
            f'"{original}>={lowest},<{below}")')
        try:
            version = importlib.import_module(module).__version__
        except Exception as error:
            raise ImportError(
                f'{needed}, but importing {module} failed ({error}). '
                f'{install}') from error
        if not _numbers(lowest) <= _numbers(version) < _numbers(below):
            raise ImportError(
                f'{needed}, but {version} is installed. {install}')


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r'\d+', version)[:3])
