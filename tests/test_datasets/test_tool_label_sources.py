"""Tags as annotation tools and MMPretrain write them."""
import json

import pytest
from mmseg.registry import TASK_UTILS

from mmlpcam.converters.label_source_args import describe_sources
from mmlpcam.datasets import TagEncoder

CLASSES = ('cat', 'dog', 'traffic light')


def load(ids, classes=CLASSES, **cfg):
    source = TASK_UTILS.build(cfg)
    return source.load({i: f'photos/{i}.jpg' for i in ids}, classes)


def test_tools_list_them():
    lines = describe_sources().splitlines()
    for line in (
            '  LabelStudioLabels json_file=... [from_name=None] '
            '[ignore_unknown=False]',
            '  CVATXMLLabels xml_file=... [with_shapes=False] '
            '[ignore_unknown=False]',
            '  MMPretrainJSONLabels json_file=... [ignore_unknown=False]'):
        assert line in lines


# --- LabelStudioLabels ----------------------------------------------------


def task(image, *choices, control='tags', **more):
    results = [dict(type='rectanglelabels', from_name='box', value={})]
    if choices:
        results.append(
            dict(
                type='choices',
                from_name=control,
                to_name='image',
                value=dict(choices=[*choices])))
    annotation = dict(result=results, was_cancelled=False)
    cancelled = dict(result=[], was_cancelled=True)
    return dict(
        data=dict(image=image, comment='cat.'),
        annotations=[cancelled, annotation],
        predictions=[dict(result=results)]) | more


@pytest.fixture
def studio(tmp_path):

    def write(*tasks, ids, **options):
        path = tmp_path / 'export.json'
        path.write_text(json.dumps(tasks))
        return load(
            ids, type='LabelStudioLabels', json_file=str(path), **options)

    return write


def test_label_studio(studio):
    tasks = [
        task('/data/local-files/?d=photos/in/a%20b.jpg', 'dog', 'cat'),
        task('/data/upload/3/0a1b2c3d-c.jpg', 'traffic light'),
        task('s3://bucket/photos/d.png'),
        task('https://host/x/e.jpg', 'cat', data=dict(image_id='f')),
        task('other/unknown.jpg', 'fish')
    ]
    assert studio(
        *tasks, ids=['in/a b', 'c', 'd', 'f']) == {
            'in/a b': (0, 1),
            'c': (2, ),
            'd': (),
            'f': (0, )
        }


@pytest.mark.parametrize('address, image_id', [
    ('https://b.s3.com/in/a.jpg?AWSAccessKeyId=AB&Signature=x%2Fy', 'in/a'),
    ('https://host/data/local-files/?id=3&d=photos/in/a.jpg', 'in/a'),
    ('C:\\photos\\in\\a.jpg', 'in/a'),
    ('/data/local-files/?d=photos%5Cin%5Ca.jpg', 'in/a'),
    ('photos/n#1.jpg', 'n#1'),
    ('photos/n?1.jpg', 'n?1'),
    ('photos/50%25.jpg', '50%25'),
    ('http://[x/in/a.jpg', 'in/a'),
])
def test_label_studio_addresses(studio, address, image_id):
    # what follows # or ? in the name of a file is no part of an address
    ids = ['in/a', 'n', 'n#1', 'n?1', '50%25']
    more = [task(f'{i}.jpg', 'dog') for i in ids if i != image_id]
    found = studio(task(address, 'cat', 'dog'), *more, ids=ids)
    assert found == {i: (0, 1) if i == image_id else (1, ) for i in ids}


def test_label_studio_with_other_texts(studio):
    data = dict(image='a.jpg', text='//[b', note='Q: or/so?', other='\0/x')
    assert studio(task('', 'cat', data=data), ids=['a']) == {'a': (0, )}
    data['old'] = 'x/b.jpg'
    with pytest.raises(ValueError, match="name several images, 'a', 'b'"):
        studio(task('', 'cat', data=data), ids=['a', 'b'])


def test_label_studio_with_two_controls(studio):
    both = task('a.jpg', 'cat')
    both['annotations'][1]['result'] += task(
        'a.jpg', 'sharp', control='quality')['annotations'][1]['result']
    for ignore in (False, True):
        with pytest.raises(
                ValueError, match="from_name to one of 'quality', 't"):
            studio(both, ids=['a'], ignore_unknown=ignore)
    assert studio(both, ids=['a'], from_name='tags') == {'a': (0, )}
    with pytest.raises(ValueError, match="no choices named 'tag'"):
        studio(both, ids=['a'], from_name='tag')


@pytest.mark.parametrize('tasks, message', [
    ([task('a.jpg', 'dgo')
      ], r"json, task 0, image 'a': unknown class 'dgo'.*'dog'"),
    ([task('a.jpg', 'cat', annotations=[])], '1 of 1 images have no entry'),
    ([task('b.jpg', 'cat')], "Other entries are named like 'b.jpg'"),
    ([task('a.jpg', 'cat'), task('a.jpg', 'cat')
      ], "task 1, image 'a': another task"),
    ([task('a.jpg', annotations=[dict(result=[]),
                                 dict(result=[])])], 'it has 2 annotations'),
    ([dict(image='a.jpg', tags='cat')
      ], r"task 0 .*'annotations' is missing.*JSON-MIN"),
    ([
        task(
            'a.jpg',
            annotations=[dict(result=[dict(type='choices', from_name='t')])])
    ], "image 'a' .*'value' is missing"),
    ([
        task(
            'a.jpg',
            annotations=[
                dict(result=[
                    dict(
                        type='choices',
                        from_name='t',
                        value=dict(choices='cat'))
                ])
            ])
    ], "expected a list as choices, but got 'cat'"),
    ([task('', data=dict(image_id=5))], 'name of an image as data.image_id'),
    ([task('', data=['a.jpg'])], 'expected an object as data'),
])
def test_label_studio_errors(studio, tasks, message):
    with pytest.raises(ValueError, match=message):
        studio(*tasks, ids=['a'])


# --- TagEncoder -----------------------------------------------------------


@pytest.mark.parametrize('tag', [None, '', ' ', 1, ['cat'], dict(name='cat')])
def test_what_is_no_name_is_never_left_out(tag):
    encoder = TagEncoder(CLASSES, ignore_unknown=True)
    with pytest.raises(ValueError, match='line 3: unknown class'):
        encoder.encode(['dog', tag], 'line 3')
    assert encoder.encode(['dog', 'fish'], 'line 3') == (1, )


def test_a_text_is_no_list_of_tags():
    with pytest.raises(ValueError, match="a list of tags, but got 'ab'"):
        TagEncoder(('a', 'b')).encode('ab', 'line 3')
    with pytest.raises(ValueError, match="integer class index .* got '0_1'"):
        TagEncoder(CLASSES, as_index=True).encode(['0_1'], 'line 3')


# --- CVATXMLLabels --------------------------------------------------------


@pytest.fixture
def cvat(tmp_path):

    def write(text, ids, **options):
        path = tmp_path / 'annotations.xml'
        path.write_text(f'<annotations><version>1.1</version>'
                        f'<meta><image>no entry</image></meta>{text}'
                        '</annotations>')
        return load(ids, type='CVATXMLLabels', xml_file=str(path), **options)

    return write


IMAGES = ('<image id="0" name="in/a.jpg" width="9" height="9">'
          '<tag label="dog" source="manual"></tag><tag label="cat"/>'
          '<box label="traffic light" xtl="0" ytl="0" xbr="1" ybr="1"/>'
          '</image><image id="1" name="b.png" width="9" height="9"/>')


def test_cvat(cvat):
    assert cvat(IMAGES, ['in/a', 'b']) == {'in/a': (0, 1), 'b': ()}
    assert cvat(
        IMAGES, ['in/a', 'b'], with_shapes=True) == {
            'in/a': (0, 1, 2),
            'b': ()
        }


@pytest.mark.parametrize('text, ids, message', [
    (IMAGES, ['in/a', 'c'], r"'c'\. Expected an <image>.*named like 'b.png'"),
    (IMAGES, ['b'], 'no tag on any.*with_shapes=True'),
    (IMAGES + IMAGES, ['in/a'], "image 'in/a.jpg': another <image>"),
    (IMAGES.replace('cat', 'cta'), ['in/a'], "unknown class 'cta'.*'cat'"),
    (IMAGES.replace(' label="cat"', ''), ['in/a'], 'unknown class None'),
    (IMAGES.replace('b.png', '../b.png'), ['b'], 'no name inside'),
    ('', ['a'], 'CVAT for images 1.1'),
    ('<!DOCTYPE a>', ['a'], 'document type'),
])
def test_cvat_errors(cvat, text, ids, message):
    with pytest.raises(ValueError, match=message):
        cvat(text, ids)


# --- MMPretrainJSONLabels -------------------------------------------------


@pytest.fixture
def pretrain(tmp_path):

    def write(content, ids, **options):
        path = tmp_path / 'multi.json'
        path.write_text(json.dumps(content))
        return load(
            ids, type='MMPretrainJSONLabels', json_file=str(path), **options)

    return write


def multi_label(*entries, classes=('dog', 'fish', 'cat')):
    return dict(
        metainfo=dict(classes=[*classes]),
        data_list=[
            dict(img_path=path, gt_label=labels) for path, labels in entries
        ])


def test_mmpretrain(pretrain):
    content = multi_label(('in/a.jpg', [2, 0]), ('b.png', []), ('c.jpg', [1]))
    # indices are those of the file, not of the data set
    assert pretrain(content, ['in/a', 'b']) == {'in/a': (0, 1), 'b': ()}
    with pytest.raises(ValueError, match="unknown class 'fish'"):
        pretrain(content, ['c'])
    assert pretrain(content, ['c'], ignore_unknown=True) == {'c': ()}


@pytest.mark.parametrize('content, message', [
    (multi_label(('a.jpg', [3])), r'data_list\[0\]: class index 3'),
    (multi_label(('a.jpg', [0.])), 'expected an integer class index'),
    (multi_label(('a.jpg', 1)), 'expected a list as gt_label'),
    (multi_label(('a.jpg', [0]), ('a.jpg', [0])), 'another entry'),
    (multi_label(('b.jpg', [0])), "named like 'b.jpg'"),
    (dict(data_list=[]), "'metainfo' is missing"),
    ([], 'no valid annotation file of MultiLabelDataset'),
    (dict(metainfo=dict(classes=['dog']),
          data_list=[dict(img_path='a.jpg')]), "'gt_label' is missing"),
])
def test_mmpretrain_errors(pretrain, content, message):
    with pytest.raises(ValueError, match=message):
        pretrain(content, ['a'])
