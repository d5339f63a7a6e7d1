"""What the documents name exists."""
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    'README.md', 'CONTRIBUTING.md', *sorted(
        path.relative_to(ROOT).as_posix() for path in ROOT.glob('docs/*.md'))
]


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split('.')
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module('.'.join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_a_wrong_name_is_seen():
    assert exists('mmlpcam.models.MapHead.maps')
    assert not exists('mmlpcam.models.MapHead.no_maps')
    assert not exists('mmlpcam.no_models')


@pytest.mark.parametrize('page', PAGES)
def test_names_exist(page):
    text = (ROOT / page).read_text()
    names = set(re.findall(r'`(mmlpcam(?:\.\w+)+)`', text))
    assert not [name for name in sorted(names) if not exists(name)]
    if page == 'docs/architecture.md':
        assert len(names) > 50


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', path.read_text())
    local = [link for link in links if '://' not in link]
    assert not [link for link in local if not (path.parent / link).exists()]
