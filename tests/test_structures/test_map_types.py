import pytest

from mmlpcam.structures import MapType, find_map_type, is_refined, map_title
from mmlpcam.structures import map_types as module
from mmlpcam.structures import register_map_type, sort_map_types


@pytest.fixture
def table(monkeypatch):
    """The table, to be restored."""
    monkeypatch.setattr(module, '_MAP_TYPES', dict(module._MAP_TYPES))
    return module._MAP_TYPES


def test_kinds_of_the_paper():
    assert find_map_type('cam') == MapType('cam', 'CAM', eps=1e-5)
    assert find_map_type('lpcam') == MapType('lpcam', 'LPCAM', needs_bank=True)
    assert map_title('lpcam_f') == 'LPCAM-F'
    assert not is_refined('lpcam') and is_refined('irn')


def test_own_kind(table):
    own = MapType('own', 'Own', normalization='none', is_refined=True)
    register_map_type(own)
    register_map_type(own)  # a module may be imported twice
    assert find_map_type('own') == own and is_refined('own')
    assert sort_map_types({'own', 'lpcam', 'zzz', 'abc',
                           'cam'}) == ['cam', 'lpcam', 'own', 'abc', 'zzz']
    with pytest.raises(ValueError, match="another map type 'own' already"):
        register_map_type(own._replace(title='Other'))
    assert find_map_type('own') == own


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"'cam', .*got 'nocam'.*custom_impo"):
        find_map_type('nocam')
    assert map_title('nocam') == 'nocam' and not is_refined('nocam')
