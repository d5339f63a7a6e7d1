# ruff: noqa: C408 (configs are written as dict(...))
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import TASK_UTILS
from PIL import Image

from mmlpcam.datasets import ImageLabelSource

CLASSES = ('cat', 'dog', 'traffic light')
COCO_MINI = Path(
    os.environ.get(
        'MMLPCAM_COCO_MINI',
        Path(__file__).resolve().parents[2].parent / 'shared' / 'data' /
        'coco-mini'))


def load(ids, classes=CLASSES, **cfg):
    source = TASK_UTILS.build(cfg)
    assert isinstance(source, ImageLabelSource)
    return source.load({i: f'photos/{i}.jpg' for i in ids}, classes)


# --- VOCXMLLabels ---------------------------------------------------------


def write_xml(folder, image_id, *objects):
    path = folder / f'{image_id}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    items = ''.join(f'<object><name>{name}</name>{extra}</object>'
                    for name, extra in objects)
    path.write_text(f'<annotation>{items}</annotation>')


def test_voc_xml(tmp_path):
    difficult = '<difficult>1</difficult>'
    write_xml(tmp_path, 'a', ('dog', ''), ('cat', difficult), ('dog', ''))
    # the name of a part is not the name of an object
    part = '<difficult>0</difficult><part><name>head</name></part>'
    write_xml(tmp_path, 'sub/b', ('traffic light', part))
    write_xml(tmp_path, 'c', ('cat', difficult))
    ids = ['sub/b', 'a', 'c']
    cfg = dict(type='VOCXMLLabels', ann_dir=str(tmp_path))
    assert load(ids, **cfg) == {'sub/b': (2, ), 'a': (0, 1), 'c': (0, )}
    assert load(
        ids, with_difficult=False, **cfg) == {
            'sub/b': (2, ),
            'a': (1, ),
            'c': ()
        }


def test_voc_xml_errors(tmp_path):
    cfg = dict(type='VOCXMLLabels', ann_dir=str(tmp_path))
    write_xml(tmp_path, 'a', ('dgo', ''))
    with pytest.raises(
            ValueError,
            match=r"a\.xml: unknown class 'dgo'. "
            r"Nearest valid names: 'dog'"):
        load(['a'], **cfg)
    ids = [f'x{i}' for i in range(7)]
    with pytest.raises(
            ValueError,
            match=r'7 of 7 images have no entry in '
            r"ann_dir .*: 'x0', .*'x4' and 2 more\. Expected"):
        load(ids, **cfg)
    (tmp_path / 'b.xml').write_text('<annotation>')
    with pytest.raises(ValueError, match=r'b\.xml: not valid XML'):
        load(['b'], **cfg)
    with pytest.raises(FileNotFoundError, match='ann_dir .*nowhere.*folder'):
        load(['a'], type='VOCXMLLabels', ann_dir='nowhere')


@pytest.mark.parametrize('encoding, declared', [('gb2312', 'gb2312'),
                                                ('gb18030', 'GBK'),
                                                ('utf-16', 'utf-16'),
                                                ('utf-8-sig', 'utf-8'),
                                                ('big5', 'Big5')])
def test_voc_xml_encodings(tmp_path, encoding, declared):
    text = (f'<?xml version="1.0" encoding="{declared}"?><annotation>'
            '<folder>\u7167\u7247</folder><object><name>\u8c93</name></object>'
            '</annotation>')
    cat = '\u732b' if encoding.startswith('gb2') else '\u8c93'
    (tmp_path / 'a.xml').write_bytes(
        text.replace('\u8c93', cat).encode(encoding))
    assert load(['a'], (cat, ), type='VOCXMLLabels',
                ann_dir=str(tmp_path)) == {
                    'a': (0, )
                }


def test_voc_xml_namespace_and_subset(tmp_path):
    (tmp_path / 'a.xml').write_text(
        '<annotation xmlns="http://x.org/voc"><object><name>dog</name>'
        '</object><object><name>kite</name></object></annotation>')
    cfg = dict(type='VOCXMLLabels', ann_dir=str(tmp_path))
    assert load(['a'], ignore_unknown=True, **cfg) == {'a': (1, )}
    with pytest.raises(ValueError, match=r"a\.xml: unknown class 'kite'"):
        load(['a'], **cfg)


@pytest.mark.parametrize('text, match', [
    ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation/>',
     'document type'),
    ('<data/>', 'expected <annotation>'),
    ('<annotation><objects><object><name>cat</name></object></objects>'
     '</annotation>', 'directly inside'),
    ('<annotation><object/></annotation>', 'object 1 has no <name>'),
    ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'klingon'),
    ('\xe9'.encode('latin1'), 'not in utf-8.*Save it'),
    (b'', 'not valid XML'),
])
def test_voc_xml_refused(tmp_path, text, match):
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / 'a.xml').write_bytes(content)
    with pytest.raises(ValueError, match=rf'(?s)a\.xml: .*{match}'):
        load(['a'], type='VOCXMLLabels', ann_dir=str(tmp_path))


# --- COCOJSONLabels -------------------------------------------------------


@pytest.fixture
def coco(tmp_path):
    data = dict(
        images=[
            dict(id=9, file_name='train/09.jpg'),
            dict(id=7, file_name='07.jpg'),
            dict(id=5, file_name='05.jpg'),
        ],
        # ids with a gap and in another order than the classes
        categories=[
            dict(id=90, name='cat'),
            dict(id=3, name='traffic light'),
            dict(id=1, name='dog'),
            dict(id=2, name='kite'),
        ],
        annotations=[
            dict(image_id=9, category_id=3, iscrowd=0),
            dict(image_id=9, category_id=90, iscrowd=0),
            dict(image_id=9, category_id=3, iscrowd=0),
            dict(image_id=7, category_id=1, iscrowd=1),
        ])
    path = tmp_path / 'instances.json'

    def write(**changes):
        path.write_text(json.dumps({**data, **changes}))
        return data

    write()
    write.cfg = dict(type='COCOJSONLabels', ann_file=str(path))
    return write


def test_coco_json(coco):
    # by path, and '09' by its unique stem
    assert load(['07', 'train/09', '05'], **coco.cfg) == {
        '07': (1, ),
        'train/09': (0, 2),
        '05': ()
    }
    assert load(['09', 'other/07'], **coco.cfg) == {
        '09': (0, 2),
        'other/07': (1, )
    }
    assert load(['07'], with_crowd=False, **coco.cfg) == {'07': ()}


def test_coco_json_unknown_category(coco):
    data = coco()
    coco(annotations=data['annotations'] + [dict(image_id=7, category_id=2)])
    with pytest.raises(
            ValueError,
            match=r"json, image '07': unknown class 'kite'. Valid names: "
            "'cat', 'dog', 'traffic light'"):
        load(['07'], **coco.cfg)
    # only the images asked for count
    assert load(['09'], **coco.cfg) == {'09': (0, 2)}
    assert load(['07'], ignore_unknown=True, **coco.cfg) == {'07': (1, )}
    coco(annotations=[dict(image_id=7, category_id=4)])
    with pytest.raises(ValueError, match="category_id 4 is not in 'categori"):
        load(['07'], **coco.cfg)


def test_coco_json_errors(coco):
    with pytest.raises(ValueError, match="1 of 2 images .*: 'x'.*split"):
        load(['x', '07'], **coco.cfg)
    coco(
        images=[
            dict(id=i, file_name=f'{d}/07.jpg') for i, d in enumerate('ab')
        ],
        annotations=[])
    with pytest.raises(ValueError, match='1 of 1 images .*unique'):
        load(['07'], **coco.cfg)
    Path(coco.cfg['ann_file']).write_text('{"images": []}')
    with pytest.raises(ValueError, match="'categories' is missing"):
        load(['07'], **coco.cfg)
    Path(coco.cfg['ann_file']).write_text('{')
    with pytest.raises(ValueError, match='instances.json: not valid JSON'):
        load(['07'], **coco.cfg)


@pytest.mark.parametrize('changes, match', [
    (dict(annotations=[dict(image_id=1001, category_id=1)]),
     r"annotations\[0\]: image_id 1001 is not in 'images'"),
    (dict(annotations=[dict(image_id=None, category_id=1)]),
     r"annotations\[0\]: expected 'image_id' of type int"),
    (dict(annotations=[1]), r'annotations\[0\]: expected'),
    (dict(annotations=None), "expected 'annotations' to be a list"),
    (dict(annotations=[dict(image_id=9, category_id=True)]),
     "expected 'category_id'"),
    (dict(annotations=[dict(image_id=9, category_id=1, iscrowd='no')]),
     'expected iscrowd to be 0 or 1'),
    (dict(images=[dict(id=1, file_name='a'),
                  dict(id=1, file_name='b')]),
     r'images\[1\]: the id 1 is there twice'),
    (dict(
        images=[dict(id=1, file_name='07'),
                dict(id=2, file_name='07.jpg')],
        annotations=[]), 'another entry of the file'),
    (dict(images=[dict(id=1, file_name='../07.jpg')],
          annotations=[]), r"'\.\./07\.jpg' is no name inside"),
    (dict(images=[dict(id=1)]), r"images\[0\]: expected 'file_name'"),
    (dict(categories=[dict(id=1)]), r"categories\[0\]: expected 'name'"),
    (dict(categories=[dict(id=1, name='cat'),
                      dict(id=2, name='cat')]),
     "the name 'cat' is there twice"),
])
def test_coco_json_of_another_shape(coco, changes, match):
    coco(**changes)
    with pytest.raises(ValueError, match=rf'instances\.json.*{match}'):
        load(['07'], **coco.cfg)


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason='coco-mini is not here')
@pytest.mark.parametrize('split', ['train2017', 'val2017'])
@pytest.mark.parametrize('kind', ['', '_super'])
def test_coco_mini(split, kind):
    file = COCO_MINI / 'annotations' / f'instances_{split}{kind}.json'
    data = json.loads(file.read_text())
    classes = tuple(item['name'] for item in data['categories'])
    ids = sorted(p.stem for p in (COCO_MINI / split).glob('*.jpg'))
    labels = load(ids, classes, type='COCOJSONLabels', ann_file=str(file))
    position = {c['id']: i for i, c in enumerate(data['categories'])}
    for image in data['images']:
        expected = sorted({
            position[a['category_id']]
            for a in data['annotations'] if a['image_id'] == image['id']
        })
        assert labels[Path(image['file_name']).stem] == tuple(expected)
    assert any(labels.values()) and set(labels) == set(ids)


# --- CSVLabels ------------------------------------------------------------


def csv_cfg(tmp_path, text, **kwargs):
    path = tmp_path / 'labels.csv'
    path.write_bytes(text.encode())
    return dict(type='CSVLabels', csv_file=str(path), **kwargs)


@pytest.mark.parametrize('header', ['', 'image,labels\n', '\ufeff'])
def test_csv(tmp_path, header):
    cfg = csv_cfg(
        tmp_path, header + 'a.jpg,dog;cat\r\n\r\n'
        './sub/b.png, traffic light ,cat\n'
        'c,\n'
        'd\n'
        'v1.5,"dog"\n'
        'unlisted.jpg,nonsense\n')
    assert load(['c', 'a', 'sub/b', 'd', 'v1.5'], **cfg) == {
        'a': (0, 1),
        'sub/b': (0, 2),
        'c': (),
        'd': (),
        'v1.5': (1, )
    }


def test_csv_options(tmp_path):
    cfg = csv_cfg(
        tmp_path, 'a.jpg\t2|0\n', delimiter='\t', sep='|', as_index=True)
    assert load(['a'], **cfg) == {'a': (0, 2)}


@pytest.mark.parametrize('text, kwargs, match', [
    ('a,cat\n\nb,Cat\n', {},
     r"labels\.csv, line 3: unknown class 'Cat'. Nearest valid names: 'cat'"),
    ('a,2\nb,\n', {}, r"line 1: '2' is no tag.*set as_index=True"),
    ('a,cat\nb,\na.jpg,dog;cat\n', {},
     r"line 3: image 'a' was already given in .*labels\.csv, line 1"),
    ('a,3\nb,\n', dict(as_index=True),
     r'line 1: class index 3 is out of range; .* 0 to 2'),
    ('a,-1\nb,\n', dict(as_index=True), r'class index -1 is out of range'),
    ('a,cat\nb,\n', dict(as_index=True),
     r'line 1: expected an integer class index .*, but got .cat'),
    ('a~cat\nb~\n', {},
     "no row of .*labels.csv names.*'a~cat', 'b~'.*delimiter"),
    ('a,cat\nB.JPG,dog\n', {}, "1 of 2 .*'B.JPG' mean the image 'b'"),
    ('sub/a,cat\n', {}, "no row of .*labels.csv names an image.*'sub/a'.*'a'"),
    ('cat,a.jpg\ndog,b.jpg\n', {}, 'Column 2 does'),
    ('../a,cat\nb,dog\n', {}, r"line 1: '\.\./a' is no name inside"),
    ('a,cat\nb;dog\n', dict(delimiter=','),
     "1 of 2 images.*'b;dog' mean the image 'b'"),
    ('a,cat\nb;dog\n', {}, 'as many images with .* state the delim'),
    ('a,10,20,30,40,cat\nb,1,2,3,4,dog', {}, "line 1: '10' is no tag. Boxes"),
    ('a,nan\nb,dog', {}, "line 1: 'nan' is no tag"),
    (',cat\na,cat\nb,dog', {}, 'line 1: the first column'),
    ('a,cat;dog\nb,"cat, dog"', {}, "line 2: .*has ',' inside a cell"),
    ('a,"cat, dog"\nb,', dict(sep=';'), "unknown class 'cat, dog'"),
    ('a,"cat\ndog"\nb,', {}, r"line 2: the cell 'cat\\ndog' holds"),
    ('a,"cat\nb,', {}, 'labels.csv: not a CSV file.*Close its quotes'),
    ('a,\nb,\na,cat\n', {}, 'line 3: .*a tag in one row and none'),
    ('img,cat,dog\na,1,0\nb,1\n', {}, 'line 3: expected 3 cells'),
    ('img,cat,cat\na,1,0\nb,1,0\n', {}, 'line 1: expected a different name'),
    ('img,cat,dog\na,1,0\nb,1,2\n', {}, "line 2: '1' is no tag"),
    ('img,cat,dog\na,1,0\nb,1,\n', {}, "line 3: expected '1' or '0' in"),
    ('a,1,0\nb,0,1\n', {}, "line 1: '1' is no tag.*header"),
    ('img,label\na,1\nb,0\n', {}, "line 2: '1' is no tag"),
    ('img,split,tag\na,train,cat\nb,val,dog\n', {},
     "line 1: the column 'split' holds"),
    ('\n\n', {}, 'labels.csv: the table is empty'),
])
def test_csv_errors(tmp_path, text, kwargs, match):
    with pytest.raises(ValueError, match=match):
        load(['a', 'b'], **csv_cfg(tmp_path, text, **kwargs))


def test_csv_encoding(tmp_path):
    cfg = csv_cfg(tmp_path, '')
    Path(cfg['csv_file']).write_bytes(b'a,\xe9\n')
    with pytest.raises(
            ValueError, match=r'labels\.csv, line 1: not a CSV file in UTF'):
        load(['a'], **cfg)


@pytest.mark.parametrize('content, match', [
    ('a,cat'.encode('utf-16'), 'in UTF-16'),
    ('a,cat'.encode('utf-16-le'), 'NUL bytes'),
    (b'a,cat\n\0b,dog', 'line 2: .*NUL bytes'),
    (b'PK\3\4x', 'spreadsheet'),
])
def test_csv_that_is_no_utf8(tmp_path, content, match):
    cfg = csv_cfg(tmp_path, '')
    Path(cfg['csv_file']).write_bytes(content)
    with pytest.raises(ValueError, match=rf'labels\.csv.*{match}'):
        load(['a', 'b'], **cfg)


@pytest.mark.parametrize('delimiter', [',', ';', '\t', '|'])
@pytest.mark.parametrize('sep', [';', ',', '|'])
@pytest.mark.parametrize('header', ['', 'photo#tags\n'])
def test_csv_dialects_are_found(tmp_path, delimiter, sep, header):
    rows = header + f'a.jpg#"cat{sep} dog"\nsub/b.jpg#dog\nc.jpg#\n'
    cfg = csv_cfg(tmp_path, rows.replace('#', delimiter))
    assert load(['a', 'sub/b', 'c'], **cfg) == {
        'a': (0, 1),
        'sub/b': (1, ),
        'c': ()
    }
    table = TASK_UTILS.build(cfg).read(['a', 'sub/b', 'c'])
    assert (table.delimiter, table.sep, table.layout) == (delimiter, sep,
                                                          'tags')
    assert (table.header is None) == (header == '')
    assert 'labels.csv: read as a row per image' in table.summary()
    assert '3 rows, of which 3 name 3 images' in table.summary()


@pytest.mark.parametrize('yes, no', [('1', '0'), ('TRUE', 'False'), ('x', ''),
                                     ('1.0', '0.0')])
def test_csv_column_per_class(tmp_path, yes, no):
    cfg = csv_cfg(
        tmp_path, f'Bild;dog;traffic light;cat\na.jpg;{yes};{no};{yes}\n'
        f'b.jpg;{no};{no};{no}\nother.jpg;{yes};{yes};{yes}\n')
    assert load(['a', 'b'], **cfg) == {'a': (0, 1), 'b': ()}
    assert TASK_UTILS.build(cfg).read(['a', 'b']).layout == 'one_hot'


def test_csv_row_per_tag(tmp_path):
    cfg = csv_cfg(
        tmp_path, 'ImageID,LabelName\na.jpg,cat\nb,dog\na,traffic light\n'
        'a.jpg,cat\nc,\n')
    assert load(['a', 'b', 'c'], **cfg) == {'a': (0, 2), 'b': (1, ), 'c': ()}
    table = TASK_UTILS.build(cfg).read(['a', 'b', 'c'])
    assert table.layout == 'long'
    assert table.tags['a'] == ['cat', 'traffic light']
    with pytest.raises(ValueError, match='join the two rows'):
        load(['a', 'b', 'c'], layout='tags', **cfg)


def test_csv_names_and_tags_in_any_normal_form(tmp_path):
    nfc, nfd = 'Gr\u00fcn', 'Gru\u0308n'
    cfg = csv_cfg(tmp_path, f'{nfc} 1.jpg,{nfd}\n{nfd} 2.jpg,{nfc}\n')
    ids = [f'{nfd} 1', f'{nfc} 2']
    assert load(ids, (nfc, ), **cfg) == {ids[0]: (0, ), ids[1]: (0, )}
    assert load(ids, (nfd, ), **cfg) == {ids[0]: (0, ), ids[1]: (0, )}
    with pytest.raises(ValueError, match='two Unicode normal forms'):
        load([nfc, nfd], (nfc, ), **cfg)
    with pytest.raises(ValueError, match='classes have one name twice'):
        load(ids, (nfc, nfd), **cfg)


def test_csv_header_words_are_no_tags(tmp_path):
    """Though there is a photo of the name of the column."""
    cfg = csv_cfg(tmp_path, 'photo,tags\nphoto.jpg,cat\na.jpg,dog\n')
    table = TASK_UTILS.build(cfg).read(['photo', 'a'])
    assert table.tags == {'photo': ['cat'], 'a': ['dog']}


def test_csv_of_a_spreadsheet_declares_its_delimiter(tmp_path):
    cfg = csv_cfg(tmp_path, 'sep=;\r\nfoto;cat;dog\r\na.jpg;1;0\r\n')
    assert load(['a'], **cfg) == {'a': (0, )}


def test_only_a_photo_suffix_is_cut(tmp_path):
    cfg = csv_cfg(tmp_path, 'v1.5.PNG,cat\nv1.7,dog\nv1,\n')
    assert load(['v1', 'v1.5'], **cfg) == {'v1': (), 'v1.5': (0, )}


def test_csv_arguments():
    with pytest.raises(FileNotFoundError, match="csv_file 'nowhere.csv'"):
        load(['a'], type='CSVLabels', csv_file='nowhere.csv')
    with pytest.raises(ValueError, match='sep must not be empty'):
        TASK_UTILS.build(dict(type='CSVLabels', csv_file='x', sep=''))
    for options, match in ((dict(delimiter=''), 'one character'),
                           (dict(layout='wide'), 'layout must be one of'),
                           (dict(layout='one_hot', sep=';'), 'leave out')):
        with pytest.raises(ValueError, match=match):
            TASK_UTILS.build(dict(type='CSVLabels', csv_file='x', **options))


# --- JSONLabels and FolderLabels ------------------------------------------


def json_cfg(tmp_path, text, **kwargs):
    path = tmp_path / 'labels.json'
    path.write_text(text)
    return dict(type='JSONLabels', json_file=str(path), **kwargs)


def test_json(tmp_path):
    text = '{"a.jpg": ["dog", "cat", "dog"], "sub/b": [], "other": ["x"]}'
    assert load(['sub/b', 'a'], **json_cfg(tmp_path, text)) == {
        'a': (0, 1),
        'sub/b': ()
    }
    cfg = json_cfg(tmp_path, '{"a": [2, 0]}', as_index=True)
    assert load(['a'], **cfg) == {'a': (0, 2)}


@pytest.mark.parametrize('text, kwargs, match', [
    ('[]', {}, r'labels\.json: expected an object .*got list'),
    ('{"a": "cat"}', {},
     r"entry 'a': expected a list of classes, but got 'cat'"),
    ('{"a": ["cow"]}', {}, r"entry 'a': unknown class 'cow'"),
    ('{"a": [1]}', {}, r'unknown class 1.*as_index=True'),
    ('{"a": [1.5]}', dict(as_index=True), 'integer class index.*got 1.5'),
    ('{"a": [true]}', dict(as_index=True), 'integer class index.*got True'),
    ('{"a": [], "a": []}', {}, "the key 'a' appears twice"),
    ('{"a": [], "a.jpg": []}', {}, "entry 'a.jpg': image 'a' was already"),
    ('{"b": []}', {}, "1 of 1 images have no entry in json_file .*: 'a'"),
    ('{', {}, r'labels\.json: not valid JSON'),
    ('[' * 200000, {}, r'labels\.json: not a label file, .*nested'),
    ('{"a": NaN}', {}, 'NaN is no value'),
    ('{"a": null}', {}, "entry 'a': expected a list of classes, but got None"),
    ('{"a": [null]}', {}, "entry 'a': unknown class None"),
    ('{"A.jpg": []}', {}, "named like 'A.jpg'. Does 'A.jpg' mean .* 'a'"),
    ('{"/etc/a": []}', {}, "entry '/etc/a': '/etc/a' is no name inside"),
])
def test_json_errors(tmp_path, text, kwargs, match):
    with pytest.raises(ValueError, match=match):
        load(['a'], **json_cfg(tmp_path, text, **kwargs))


def test_folder():
    assert load(['dog/1', 'traffic light/x/2'], type='FolderLabels') == {
        'dog/1': (1, ),
        'traffic light/x/2': (2, )
    }
    with pytest.raises(ValueError, match="image 'cow/1': unknown class 'cow'"):
        load(['cow/1'], type='FolderLabels')
    with pytest.raises(ValueError, match="1 of 2 .*: 'b'. FolderLabels expec"):
        load(['dog/1', 'b'], type='FolderLabels')


# --- NPYLabels ------------------------------------------------------------


def npy_cfg(tmp_path, content):
    path = tmp_path / 'labels.npy'
    np.save(path, content)
    return dict(type='NPYLabels', npy_file=str(path))


def vec(*values, dtype=np.float32):
    return np.array(values, dtype=dtype)


def test_npy_voc_dict(tmp_path):
    cfg = npy_cfg(
        tmp_path, {
            np.int32(2007000032): vec(0, 1, 1),
            np.int32(2011003276): vec(1, 0, 0),
            np.int32(2008000001): vec(0, 0, 0),
            np.int32(2009000001): vec(1, 1, 1),
        })
    assert load(['2011_003276', '2007_000032', 'sub/2008_000001'], **cfg) == {
        '2011_003276': (0, ),
        '2007_000032': (1, 2),
        'sub/2008_000001': ()
    }


@pytest.mark.parametrize('protocol', [0, 2, 3, 4])
def test_npy_every_pickle_protocol(tmp_path, protocol):
    content = np.array({'a': vec(0, 2, 0), 'b.jpg': vec(1, 0, 1, dtype='>i8')})
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, np.lib.format.header_data_from_array_1_0(content))
    pickle.dump(content, file, protocol=protocol)
    path = tmp_path / 'x.npy'
    path.write_bytes(file.getvalue())
    assert load(['a', 'b'], type='NPYLabels', npy_file=str(path)) == {
        'a': (1, ),
        'b': (0, 2)
    }


def test_npy_written_by_old_numpy(tmp_path):
    """NumPy 1 calls its module numpy.core.multiarray."""
    cfg = npy_cfg(tmp_path, {np.int32(9): vec(0, 0, 1)})
    path = Path(cfg['npy_file'])
    content = np.array({np.int32(9): vec(0, 0, 1)})
    body = pickle.dumps(
        content, protocol=3).replace(b'numpy._core.multiarray',
                                     b'numpy.core.multiarray')
    assert b'numpy.core.multiarray' in body
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, np.lib.format.header_data_from_array_1_0(content))
    path.write_bytes(file.getvalue() + body)
    ids = ['COCO_train2014_000000000009']
    assert load(ids, **cfg) == {ids[0]: (2, )}


def test_npy_array_follows_numbers(tmp_path):
    rows = np.array([[0, 0, 3], [1, 0, 0], [0, 0, 0]], dtype=np.float64)
    cfg = npy_cfg(tmp_path, rows)
    # as text '10' would come before '9'
    assert load(['x_10', 'x_9', 'x_100'], **cfg) == {
        'x_9': (2, ),
        'x_10': (0, ),
        'x_100': ()
    }


@pytest.mark.parametrize('content, ids, match', [
    ({
        1: vec(1, 0)
    }, ['1'], r"labels\.npy, image '1': expected one number "
     r'for each of the 3 foreground classes, but got ndarray of shape \(2,\)'),
    ({
        'a': 'cat'
    }, ['a'], "image 'a': expected one number .* got str"),
    ({
        'a': np.array(['x', 'y', 'z'])
    }, ['a'], 'expected one number'),
    ({
        1: vec(1, 0, 0),
        2: vec(1, 0, 0)
    }, ['1', '3'
        ], r"1 of 2 images have no entry in npy_file .*: '3'\. Its 2 keys"),
    ({
        1: vec(1, 0, 0)
    }, ['a_1', 'b_1'], "images 'a_1' and 'b_1' share the number 1"),
    (np.zeros((2, 3)), ['1'], r'expected an array \(1, C\).*got \(2, 3\)'),
    (np.zeros(3), ['1', '2', '3'], r'expected an array \(3, C\)'),
    (np.zeros(
        (1, 3)), ['photo'], "1 image names do not end with one: 'photo'"),
    ({
        'a': vec(1, np.nan, 0)
    }, ['a'], "image 'a': expected 0 where a class is absent"),
    ({
        'a': vec(1, -1, 0)
    }, ['a'], "image 'a': expected 0 where a class is absent"),
    ({
        'a': vec(1, 0, 0),
        'a.jpg': vec(1, 0, 0)
    }, ['a'], "entry 'a.jpg': image 'a' has two entries"),
    ({
        'x_1': vec(1, 0, 0),
        1: vec(0, 0, 0)
    }, ['x_1'], 'has two entries, by name and by the number 1'),
    ([{}, {}], ['1'], 'refused.*arrays of objects are not allowed'),
])
def test_npy_errors(tmp_path, content, ids, match):
    with pytest.raises(ValueError, match=match):
        load(ids, **npy_cfg(tmp_path, content))


class Payload:
    """Creates a file when it is unpickled by a careless reader."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


def test_npy_malicious_pickle_is_refused(tmp_path):
    target = tmp_path / 'pwned'
    cfg = npy_cfg(tmp_path, {'a': Payload(target)})
    with pytest.raises(ValueError, match=r'labels\.npy: refused.*io\.open'):
        load(['a'], **cfg)
    assert not target.exists()
    # the payload is real
    np.load(cfg['npy_file'], allow_pickle=True)
    assert target.exists()


@pytest.mark.parametrize('body, match', [
    (b'cnumpy\nfrombuffer\n.', 'numpy.frombuffer'),
    (b'cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(VO8\ntRS"a"\ntR.',
     'object scalars'),
    (b'cnumpy\ndtype\n(VV8\ntR.', "dtype 'V8' is not allowed"),
    (b'c_codecs\nencode\n(Va\nVrot13\ntR.', "encoding 'rot13'"),
    (b'', 'refused'),
])
def test_npy_crafted_streams_are_refused(tmp_path, body, match):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, np.lib.format.header_data_from_array_1_0(np.array({})))
    path = tmp_path / 'x.npy'
    path.write_bytes(file.getvalue() + body)
    with pytest.raises(ValueError, match=match):
        load(['a'], type='NPYLabels', npy_file=str(path))


def test_npy_not_an_npy_file(tmp_path):
    path = tmp_path / 'x.npy'
    path.write_text('hello, this is text')
    with pytest.raises(ValueError, match=r'x\.npy: refused'):
        load(['a'], type='NPYLabels', npy_file=str(path))
    with pytest.raises(FileNotFoundError, match="npy_file 'nowhere.npy'"):
        load(['a'], type='NPYLabels', npy_file='nowhere.npy')


# --- MaskLabels -----------------------------------------------------------


def test_mask(tmp_path):
    cfg = dict(type='MaskLabels', mask_dir=str(tmp_path))
    values = np.array([[0, 3, 3], [255, 1, 0]], dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / 'a.png')
    palette = Image.frombytes('P', (3, 2), values.tobytes())
    palette.putpalette(list(range(256)) * 3)
    palette.save(tmp_path / 'p.png')
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / 'z.png')
    assert load(['a', 'p', 'z'], **cfg) == {'a': (0, 2), 'p': (0, 2), 'z': ()}
    with pytest.raises(
            ValueError,
            match=r'a\.png has 255.*Expected 0 \(background\) to 3, or 3 '):
        load(['a'], ignore_index=3, **cfg)
    with pytest.raises(
            ValueError, match="1 of 2 images .*: 'b'. Expected one"):
        load(['a', 'b'], **cfg)
    Image.new('RGB', (2, 2)).save(tmp_path / 'c.png')
    with pytest.raises(ValueError, match=r'c\.png is no valid index mask'):
        load(['c'], **cfg)
    (tmp_path / 'd.png').write_text('x')
    with pytest.raises(ValueError, match=r'd\.png is no valid index mask'):
        load(['d'], **cfg)


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason='coco-mini is not here')
def test_masks_agree_with_json_on_coco_mini():
    file = COCO_MINI / 'annotations' / 'instances_train2017_super.json'
    classes = tuple(item['name']
                    for item in json.loads(file.read_text())['categories'])
    ids = sorted(p.stem for p in (COCO_MINI / 'train2017').glob('*.jpg'))
    by_json = load(ids, classes, type='COCOJSONLabels', ann_file=str(file))
    by_mask = load(
        ids,
        classes,
        type='MaskLabels',
        mask_dir=str(COCO_MINI / 'masks' / 'train2017'))
    # a small object may be painted over, so a mask may show fewer classes
    assert all(set(by_mask[i]) <= set(by_json[i]) for i in ids)
    assert sum(map(len, by_mask.values())) > 100
