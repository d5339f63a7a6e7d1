"""Tar shards in the layout of WebDataset."""
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from mmlpcam.datasets import (ShardSample, has_shard, read_shard, shard_names,
                              write_shard)
from mmlpcam.datasets.shards import MAX_MEMBER_SIZE

CLASSES = ('cat', 'dog', 'guinea pig')


def photo(color=(255, 0, 0)):
    file = io.BytesIO()
    Image.new('RGB', (4, 3), color).save(file, 'PNG')
    return file.getvalue()


def write_raw(path, *members):
    """Write a tar of TarInfos with contents, whatever they are."""
    with tarfile.open(path, 'w') as tar:
        for info, content in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            if info.size:  # a claim
                tar.addfile(info)
                continue
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def special(name, kind):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = '/etc/passwd'
    return info


def parts(path, *args):
    return [(s.key, s.parts) for s in read_shard(path, *args)]


def test_layout(tmp_path):
    """Names as WebDataset splits them; what is not asked for is left out."""
    path = write_raw(tmp_path / 'a.tar', ('./x/1.jpg', b'1'),
                     ('./x/1.cls', b'0'), ('x/1.seg.png', b'no'),
                     (special('x', tarfile.DIRTYPE), b''), ('._2.jpg', b'no'),
                     ('no_suffix', b'no'), ('__meta__/0.jpg', b'no'),
                     ('y.v/2.JPG', b'2'), ('2.json', b'[]'))
    assert parts(path) == [('x/1', dict(jpg=b'1', cls=b'0')),
                           ('y.v/2', dict(jpg=b'2')), ('2', dict(json=b'[]'))]
    assert parts(path, ['seg.png']) == [('x/1', {'seg.png': b'no'})]


def test_bytes_depend_on_the_members_alone(tmp_path):
    members = [('ä/1.png', photo()), ('ä/1.json', b'["cat"]'),
               ('x' * 120 + '.png', b'')]
    for name in 'ab':
        write_shard(str(tmp_path / f'{name}.tar'), iter(members))
    content = (tmp_path / 'a.tar').read_bytes()
    assert content == (tmp_path / 'b.tar').read_bytes()
    with tarfile.open(tmp_path / 'a.tar') as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode)
                for m in tar} == {(0, 0, 0, '', 0o644)}
    assert parts(str(tmp_path / 'a.tar')) == [
        ('ä/1', dict(png=photo(), json=b'["cat"]')), ('x' * 120, dict(png=b''))
    ]


def test_a_writer_that_fails_leaves_nothing(tmp_path):

    def members():
        yield 'a.png', b'1'
        raise KeyError

    with pytest.raises(KeyError):
        write_shard(str(tmp_path / 'a.tar'), members())
    with pytest.raises(ValueError, match='no name inside'):
        write_shard(str(tmp_path / 'a.tar'), [('../a.png', b'1')])
    assert not [*tmp_path.iterdir()]


def huge():
    info = tarfile.TarInfo('a.jpg')
    info.size = MAX_MEMBER_SIZE + 1
    return info


@pytest.mark.parametrize('members, message', [
    ([('/a.jpg', b'')], 'no name inside'),
    ([('x/../../a.jpg', b'')], 'no name inside'),
    ([('C:\\a.jpg', b'')], 'no name inside'),
    ([(special('a.jpg', tarfile.SYMTYPE), b'')], 'link'),
    ([(special('a.jpg', tarfile.LNKTYPE), b'')], 'link'),
    ([(special('a.jpg', tarfile.CHRTYPE), b'')], 'device'),
    ([(special('a.jpg', tarfile.FIFOTYPE), b'')], 'device'),
    ([('a.jpg', b''), ('a.jpg', b'')], 'a.jpg is there twice'),
    ([('a.jpg', b''), ('b.jpg', b''), ('a.cls', b'')], "'a' do not follow"),
    ([(huge(), b'')], f'{MAX_MEMBER_SIZE + 1} bytes'),
])
def test_hostile_members_are_refused(tmp_path, members, message):
    path = tmp_path / 'a.tar'
    write_raw(path, ('first.jpg', b'1'), *members)
    with pytest.raises(ValueError, match=message) as caught:
        parts(str(path))
    assert str(caught.value).startswith(f'{path} is no valid shard')
    assert [*tmp_path.iterdir()] == [path]


def test_cut_and_damaged_shards_are_refused(tmp_path):
    """Never taken for shorter ones, as tarfile does."""
    whole = tmp_path / 'whole.tar'
    write_shard(
        str(whole), [(f'{i}.jpg', bytes([i + 1]) * 600) for i in range(3)])
    assert has_shard(str(whole)) and len(parts(str(whole))) == 3
    content = whole.read_bytes()
    end = 3 * 3 * 512  # a header and two blocks each
    path = tmp_path / 'bad.tar'
    assert not has_shard(str(path))
    for size in (*range(0, end + 1024, 256), end + 1023):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match='bad.tar is no valid shard'):
            parts(str(path))
        if size <= end:
            assert not has_shard(str(path))
    for header in (0, 3, 6):
        for byte in (0, 124, 150, 156, 257, 400):
            wrong = bytearray(content)
            wrong[512 * header + byte] ^= 0x15
            path.write_bytes(wrong)
            with pytest.raises(ValueError, match='bad.tar is no valid shard'):
                parts(str(path))
    with pytest.raises(FileNotFoundError, match='none.tar'):
        parts(str(tmp_path / 'none.tar'))


def test_photo():
    sample = ShardSample('s.tar', 'a', dict(png=photo((255, 0, 1)), cls=b'0'))
    assert np.array_equal(sample.photo(), np.full((3, 4, 3), (1, 0, 255)))
    bad = sample._replace(parts=dict(png=photo()[:40]))
    with pytest.raises(ValueError, match='s.tar, member a.png is no valid'):
        bad.photo()
    for found in (dict(cls=b'0'), dict(png=b'', jpg=b'')):
        with pytest.raises(ValueError, match="one photo under the key 'a'"):
            sample._replace(parts=found).photo()


@pytest.mark.parametrize('found, expected', [
    (dict(json=b'["dog", "cat"]'), (0, 1)),
    (dict(json=b'{"tags": ["guinea pig"]}', cls=b'0'), (2, )),
    (dict(json=b'{"caption": "a dog"}', cls=b'0'), (0, )),
    (dict(json=b'{"caption": "a dog"}'), None),
    (dict(json=b'[]'), ()),
    (dict(cls=b'2 0\n'), (0, 2)),
    (dict(), None),
])
def test_tags(found, expected):
    assert ShardSample('s.tar', 'a', found).tags(CLASSES) == expected


@pytest.mark.parametrize('found, message', [
    (dict(json=b'["cow"]'), "a.json: unknown class 'cow'"),
    (dict(json=b'{"tags": "cat"}'), r'a.json .*\(expected a list'),
    (dict(json=b'[' * 100000), 'a.json is no valid list of tags'),
    (dict(json=b'\xff'), 'a.json is no valid list of tags'),
    (dict(cls=b'3'), 'a.cls: class index 3 is out of range'),
    (dict(cls=b'cat'), 'a.cls: expected an integer'),
])
def test_tags_that_are_none(found, message):
    with pytest.raises(ValueError, match=f's.tar, member {message}'):
        ShardSample('s.tar', 'a', found).tags(CLASSES)


def test_names_of_shards(tmp_path):
    assert shard_names('one.tar') == ['one.tar']
    assert shard_names('{a}-{9..10}-{00..01}.tar') == [
        '{a}-9-00.tar', '{a}-9-01.tar', '{a}-10-00.tar', '{a}-10-01.tar'
    ]
    file = tmp_path / 'list.txt'
    file.write_text('b/{1..2}.tar\n\na/3.tar\n')
    assert shard_names(str(file)) == ['b/1.tar', 'b/2.tar', 'a/3.tar']
    for line, message in (('a/1.tar\nb/1.tar', 'one file name'), ('{2..1}.tar',
                                                                  'goes down'),
                          ('a.zip', 'a.zip'), ('\n', 'names no shard')):
        file.write_text(line)
        with pytest.raises(ValueError, match=message):
            shard_names(str(file))


def test_list_with_byte_order_mark(tmp_path):
    file = tmp_path / 'list.txt'
    file.write_bytes(b'\xef\xbb\xbfa.tar\r\nb.tar\r\n')
    assert shard_names(str(file)) == ['a.tar', 'b.tar']
