"""Which package may import which, and how long a file may be."""
import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'mmlpcam'
# Each imports from those before it alone.
ORDER = ('utils', 'ops', 'structures', 'datasets', 'models', 'evaluation',
         'engine', 'visualization', 'converters', 'apis')
MAX_LINES = 400


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full names of what a module of the package imports."""
    package = path.relative_to(ROOT).with_suffix('').parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1]
            prefix = '.'.join(above) + '.' if node.level else ''
            for alias in node.names:
                yield f'{prefix}{node.module or ""}.{alias.name}'
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_relative_and_absolute_imports_are_seen():
    path = PACKAGE / 'engine' / 'hooks' / '__init__.py'
    names = set(imported_modules(path))
    assert any(name.startswith('mmlpcam.engine.hooks.') for name in names)


def test_all_packages_have_a_place():
    packages = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert packages == set(ORDER)


@pytest.mark.parametrize('name', ORDER)
def test_no_upward_import(name):
    above = ORDER[ORDER.index(name) + 1:]
    wrong = [
        f'{path.relative_to(ROOT)} imports {module}'
        for path in (PACKAGE / name).rglob('*.py')
        for module in imported_modules(path)
        if module.startswith('mmlpcam.') and module.split('.')[1] in above
    ]
    assert not wrong


def test_no_file_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in ('mmlpcam', 'tools', 'configs')
        for path in (ROOT / folder).rglob('*.py')
    }
    assert {f: n for f, n in lengths.items() if n > MAX_LINES} == {}


def test_libraries_that_are_slow_to_import_wait_until_they_are_needed():
    code = ('import sys, mmlpcam; print(sorted({"sklearn", "scipy.stats", '
            '"matplotlib"} & set(sys.modules)))')
    alone = 'import sys, mmseg.models, mmseg.evaluation, mmseg.datasets; '
    found = [
        subprocess.run([sys.executable, '-W', 'ignore', '-c', each],
                       cwd=ROOT,
                       capture_output=True,
                       text=True,
                       check=True).stdout.splitlines()[-1]
        for each in (alone + code.replace('mmlpcam', 'mmseg'), alone + code)
    ]
    assert found[0] == found[1]
