import json

import pytest

from mmlpcam.converters.voc_aug import read_splits
from mmlpcam.utils import read_classes
from mmlpcam.utils.names import check_inside


@pytest.mark.parametrize('name', [
    '', ' ', '..', '../x', 'a/../../x', '/etc/x', 'C:/x', 'c:x', '..\\x',
    'a\\b', 'a\0b'
])
def test_names_that_leave_their_folder(tmp_path, name):
    with pytest.raises(ValueError, match='list.txt: .* is no name inside'):
        check_inside(tmp_path, name, 'list.txt')


@pytest.mark.parametrize('name', ['a', 'sub/a.b', 'a..b', '.a', 'Gr\u00fcn 1'])
def test_names_inside(tmp_path, name):
    assert check_inside(tmp_path, name) == tmp_path / name


def test_list_of_voc_aug(tmp_path):
    sets = tmp_path / 'ImageSets' / 'Segmentation'
    sets.mkdir(parents=True)
    for name in (sets / 'train.txt', sets / 'val.txt', tmp_path / 'val.txt'):
        name.write_text('2007_000001\n')
    (tmp_path / 'train.txt').write_text('a\n../../../evil\n')
    with pytest.raises(ValueError, match=r'train\.txt: .*evil'):
        read_splits(tmp_path, tmp_path)


@pytest.mark.parametrize('content, match', [
    (dict(classes=['bg', '{{ x }}'], palette=[[0, 0, 0]] * 2), '{{ x }}'),
    (dict(classes=['bg', 1], palette=[[0, 0, 0]] * 2), '1 is no name'),
    (dict(classes=['bg', 'u\u0308', '\xfc'],
          palette=[[0, 0, 0]] * 3), 'is there twice'),
    (dict(classes=['bg'], palette=[[0, 0, 256]]), "'palette' must have"),
    (dict(classes=['bg']), "with 'classes' and 'palette'"),
    ([], "with 'classes' and 'palette'"),
])
def test_classes_that_are_refused(tmp_path, content, match):
    path = tmp_path / 'classes.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf'classes\.json: .*{match}'):
        read_classes(path)
