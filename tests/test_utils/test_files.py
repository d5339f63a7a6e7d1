import errno
import json
import os
import stat
from zipfile import BadZipFile

import pytest

from mmlpcam.utils import (atomic_path, check_writable, full_disk_at,
                           read_json, reading, write_json)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_success_leaves_only_the_file(tmp_path):
    target = tmp_path / 'new' / 'folder' / 'a.txt'
    with atomic_path(target) as tmp:
        assert tmp.parent == target.parent and tmp.suffix == '.txt'
        assert tmp.name.startswith('.tmp-')
        tmp.write_text('x')
        assert not target.exists()
    assert target.read_text() == 'x'
    assert names(target.parent) == ['a.txt']


def test_exception_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), atomic_path(tmp_path / 'a.txt') as tmp:
        tmp.write_text('half')
        raise KeyError
    assert names(tmp_path) == []


def test_exception_keeps_what_was_there(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as tmp:
        tmp.write_text('half')
        raise KeyboardInterrupt
    assert target.read_text() == 'old'
    with atomic_path(target) as tmp:
        tmp.write_text('new')
    assert target.read_text() == 'new'
    assert names(tmp_path) == ['a.txt']


def test_two_writers_of_one_file(tmp_path):
    target = tmp_path / 'a.txt'
    with atomic_path(target) as first, atomic_path(str(target)) as second:
        assert first != second
        first.write_text('first')
        second.write_text('second')
    assert target.read_text() == 'first'  # closed last
    assert names(tmp_path) == ['a.txt']


@pytest.mark.parametrize('filename', [None, '.tmp'])
def test_a_full_disk_names_the_file(tmp_path, filename):
    with pytest.raises(OSError, match=r"No space left.*/a\.txt'$") as caught:
        with atomic_path(tmp_path / 'a.txt') as tmp:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), filename
                          and str(tmp))
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_a_disk_without_room_for_a_file_names_it(tmp_path, monkeypatch):

    def full(prefix, suffix, dir):
        raise OSError(errno.ENOSPC, 'No space left', f'{dir}/{prefix}1.txt')

    monkeypatch.setattr('tempfile.mkstemp', full)
    with pytest.raises(OSError, match=r"No space left: '.*/a\.txt'$"):
        with atomic_path(tmp_path / 'a.txt'):
            pass


def test_full_disk_at():
    with pytest.raises(OSError, match=r"No space left: 'a/b'$") as caught:
        with full_disk_at('a/b'):
            raise OSError(errno.ENOSPC, 'No space left')
    assert caught.value.errno == errno.ENOSPC
    for other in (OSError(errno.ENOSPC, 'No space left',
                          'c'), ConnectionResetError(errno.ECONNRESET, 'gone'),
                  OSError('a message alone')):
        with pytest.raises(OSError) as caught, full_disk_at('a/b'):
            raise other
        assert caught.value is other


def test_half_an_array_names_the_file(tmp_path):
    # NumPy's words for a full disk, without a number
    with pytest.raises(OSError, match=r'8 requested and 4 written.*/a\.npz'):
        with atomic_path(tmp_path / 'a.npz'):
            raise OSError('8 requested and 4 written')


def test_errors_about_other_files_are_left_alone(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"/other'$"):
        with atomic_path(tmp_path / 'a') as tmp:
            (tmp.parent / 'other').read_text()


@pytest.mark.parametrize('error, text', [
    (OSError('image file is truncated'), 'image file is truncated'),
    (BadZipFile('not a zip file'), 'not a zip file'),
    (RecursionError('too deep'), 'too deep'),
    (EOFError(), 'EOFError'),
    (KeyError('wh'), "'wh' is missing"),
    (ValueError('bad'), 'bad'),
])
def test_reading_names_the_file(error, text):
    with pytest.raises(ValueError) as caught, reading('a/b.x', 'image'):
        raise error
    assert str(caught.value) == (f'a/b.x is no valid image ({text}): fetch or '
                                 'write it again')
    assert caught.value.__cause__ is error


def test_reading_keeps_what_names_the_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        with reading(tmp_path, 'text'):
            tmp_path.read_text()
    with pytest.raises(ValueError, match='^line 3 of a.csv: two names$'):
        with reading('a.csv', 'table'), reading('a.csv', 'table'):
            raise ValueError('line 3 of a.csv: two names')


@pytest.mark.skipif(os.name != 'posix', reason='permissions of POSIX')
@pytest.mark.parametrize('umask, mode', [(0o022, 0o644), (0o077, 0o600),
                                         (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / 'a') as tmp:
            tmp.write_text('x')
        assert os.umask(umask) == umask  # left as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == mode


def test_json_round_trip(tmp_path):
    content = dict(b=[1, 2.5, None], a={'x': 'é'})
    write_json(tmp_path / 'a.json', content)
    assert read_json(tmp_path / 'a.json') == content
    text = (tmp_path / 'a.json').read_text()
    assert text.index('"a"') < text.index('"b"') and text.endswith('}\n')


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / 'a.json', dict(a=1))
    with pytest.raises(TypeError, match='not JSON serializable'):
        write_json(tmp_path / 'a.json', dict(a=object()))
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(a=1)
    assert names(tmp_path) == ['a.json']


@pytest.mark.parametrize('content',
                         [b'', b'{"a": 1', b'a: 1', b'"\xff"', b'[' * 100_000])
def test_read_json_names_the_file(tmp_path, content):
    file = tmp_path / 'state.json'
    file.write_bytes(content)
    with pytest.raises(
            ValueError, match=r'state\.json is no valid JSON .*remove it'):
        read_json(file)


def test_read_json_of_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / 'none.json')


def test_check_writable_makes_the_folder(tmp_path):
    check_writable(tmp_path / 'a' / 'b')
    check_writable(tmp_path / 'a' / 'b')
    assert names(tmp_path / 'a' / 'b') == []


def test_check_writable_where_a_file_is(tmp_path):
    (tmp_path / 'a').write_text('')
    with pytest.raises(PermissionError, match='cannot write to .*--work-dir'):
        check_writable(tmp_path / 'a')
    with pytest.raises(PermissionError, match='cannot write to '):
        check_writable(tmp_path / 'a' / 'b')


def test_check_writable_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip('this user ignores permissions')
        with pytest.raises(PermissionError, match='Permission denied'):
            check_writable(tmp_path)
        with pytest.raises(PermissionError, match='Permission denied'):
            check_writable(tmp_path / 'a')
    finally:
        tmp_path.chmod(0o700)
