"""Masks out to annotation tools, and back."""
import io
import json
import re
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmlpcam.converters.coco_masks import rasterize
from mmlpcam.converters.mask_formats import (MASK_FORMATS, LabelStudioMasks,
                                             NamedMask, decode_brush,
                                             encode_brush)
from mmlpcam.utils.masks import read_index_mask, write_index_mask

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
CLASSES = ('background', 'cat', 'dog')
PALETTE = [[0, 0, 0], [200, 10, 10], [10, 10, 200]]
FORMATS = list(MASK_FORMATS)


@pytest.fixture
def project(tmp_path):
    """Write three photos with masks, and a fourth without; return masks."""
    rng = np.random.default_rng(0)
    masks = {
        'one': rng.integers(0, 3, (7, 9)),  # short runs
        'in/a two': np.repeat([[0, 2, 1]], 300, 0).repeat(100, 1),  # long ones
        'empty': np.zeros((5, 4)),
        'more': None
    }
    for name, mask in masks.items():
        path = tmp_path / 'photos' / f'{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (4, 4) if mask is None else mask.shape[::-1]
        Image.new('RGB', size).save(path)
        if mask is not None:
            masks[name] = mask.astype(np.uint8)
            write_index_mask(tmp_path / f'masks/{name}.png', masks[name])
    (tmp_path / 'classes.json').write_text(
        json.dumps(dict(classes=CLASSES, palette=PALETTE)))
    del masks['more']
    return masks


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a tool in the folder of the project; return its exit status."""
    monkeypatch.chdir(tmp_path)

    def call(tool, *args):
        options = ['--classes', 'classes.json']
        monkeypatch.setattr(sys, 'argv', [tool, *args, *options])
        return runpy.run_path(str(TOOLS / f'{tool}.py'))['main']()

    return call


def submit(path):
    """Do what people and Label Studio do: predictions become annotations."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        task['annotations'] = task.pop('predictions')
    path.write_text(json.dumps(tasks))


@pytest.mark.parametrize('name', FORMATS)
def test_round_trip(project, run, tmp_path, name):
    file = tmp_path / f'out{MASK_FORMATS[name].suffix}'
    assert run('export_masks', 'masks', 'photos', file.name, '--format',
               name) == 0
    if name == 'label-studio':
        submit(file)
    assert run('import_masks', file.name, 'photos', 'back', '--format',
               name) == 0
    back = {
        path.relative_to(tmp_path / 'back').with_suffix('').as_posix():
        read_index_mask(path)
        for path in (tmp_path / 'back').rglob('*.png')
    }
    assert back.keys() == project.keys()
    for image_id, mask in project.items():
        assert np.array_equal(back[image_id], mask)
    assert not list(tmp_path.glob('.tmp-*'))


@pytest.mark.parametrize('name', FORMATS)
def test_chosen_masks(project, run, tmp_path, name):
    (tmp_path / 'ids.txt').write_text('in/a two\n')
    file = tmp_path / f'out{MASK_FORMATS[name].suffix}'
    export = ('export_masks', 'masks', 'photos', file.name, '--format', name,
              '--ids', 'ids.txt')
    assert run(*export) == 0
    if name == 'label-studio':
        submit(file)
    masks = MASK_FORMATS[name](CLASSES, PALETTE)
    images = {i: f'photos/{i}.jpg' for i in ('one', 'in/a two')}
    found = dict(masks.read(file, images))
    assert found.keys() == {'in/a two'}
    (tmp_path / 'ids.txt').write_text('in/a two\nmore\n')
    file.unlink()
    assert run(*export) == 1
    assert not file.exists()


def test_brush_as_worked_out_by_hand():
    # 1 x 3 pixels of 4 channels: runs of 8 x 0 and 4 x 255, both of 3 bits
    bits = (f'{12:032b}' + f'{7:05b}' + '0010' + '0011' + '0111' + '1111' +
            '1' + '00' + '111' + '0' * 8 + '1' + '00' + '011' + '1' * 8)
    bits += '0' * (-len(bits) % 8)
    expected = [int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)]
    region = np.array([[False, False, True]])
    assert encode_brush(region) == expected
    assert np.array_equal(decode_brush(expected, (1, 3)), region)
    with pytest.raises(ValueError, match='end too early'):
        decode_brush(expected[:-2], (1, 3))
    with pytest.raises(ValueError, match='of 12 values'):
        decode_brush(expected, (1, 4))


def test_brush_with_literal_values():
    # what its editor writes: 4 literal values, then a run of 4
    bits = (f'{8:032b}' + f'{7:05b}' + '0010' + '0011' + '0111' + '1111' +
            '0' + '00' + '011' + '0' * 24 + f'{130:08b}' + '1' + '00' + '011' +
            '0' * 8)
    bits += '0' * (-len(bits) % 8)
    rle = [int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_brush(rle, (1, 2)).tolist() == [[True, False]]


@pytest.mark.parametrize('size', [(7, 9), (300, 300)])
def test_brush_as_label_studio_has_it(size):
    brush = pytest.importorskip('label_studio_converter.brush')
    region = np.random.default_rng(0).random(size) > 0.3
    region[size[0] // 2:] = True
    decoded = brush.decode_rle(encode_brush(region)).reshape(*size, 4)
    assert np.array_equal(decoded, region[..., None].repeat(4, 2) * 255)
    theirs = brush.encode_rle(decoded.ravel())
    assert np.array_equal(decode_brush(theirs, size), region)


def test_coco_as_pycocotools_reads_it(project, run, tmp_path, monkeypatch):
    coco = pytest.importorskip('pycocotools.coco')
    run('export_masks', 'masks', 'photos', 'out.json', '--format', 'coco-rle')
    found = coco.COCO(str(tmp_path / 'out.json'))
    assert [c['name'] for c in found.loadCats([1, 2])] == ['cat', 'dog']
    for image in found.loadImgs(found.getImgIds()):
        mask = project[image['file_name'].removesuffix('.jpg')]
        assert (image['height'], image['width']) == mask.shape
        labels = []
        for item in found.imgToAnns[image['id']]:
            region = mask == item['category_id']
            assert np.array_equal(found.annToMask(item), region)
            assert item['area'] == region.sum()
            labels.append(item['category_id'])
        assert labels == [i for i in (1, 2) if (mask == i).any()]


def test_coco_polygons_come_back(tmp_path):
    pytest.importorskip('pycocotools')
    square = [1, 1, 3, 1, 3, 3, 1, 3]
    path = tmp_path / 'a.json'
    path.write_text(
        json.dumps(
            dict(
                images=[dict(id=7, file_name='a.jpg', height=4, width=5)],
                categories=[dict(id=5, name='dog')],
                annotations=[
                    dict(image_id=7, category_id=5, segmentation=[square])
                ])))
    Image.new('RGB', (5, 4)).save(tmp_path / 'a.jpg')
    masks = MASK_FORMATS['coco-rle'](CLASSES, PALETTE)
    (_, mask), = masks.read(path, dict(a=str(tmp_path / 'a.jpg')))
    assert mask.tolist() == [[0] * 5, [0, 2, 2, 0, 0], [0, 2, 2, 0, 0],
                             [0] * 5]


def test_layout_of_cvat(project, run, tmp_path):
    run('export_masks', 'masks', 'photos', 'out.zip', '--format', 'cvat')
    with zipfile.ZipFile(tmp_path / 'out.zip') as archive:
        names = set(archive.namelist())
        labels = archive.read('labelmap.txt').decode().splitlines()
        subset = archive.read('ImageSets/Segmentation/default.txt').decode()
        picture = Image.open(
            io.BytesIO(archive.read('SegmentationClass/one.png')))
        archive.extractall(tmp_path / 'unpacked')
    assert names == {
        'labelmap.txt', 'ImageSets/Segmentation/default.txt',
        *(f'{folder}/{name}.png' for name in project
          for folder in ('SegmentationClass', 'SegmentationObject'))
    }
    assert labels[1:] == [
        'background:0,0,0::', 'cat:200,10,10::', 'dog:10,10,200::'
    ]
    assert subset.splitlines() == ['empty', 'in/a two', 'one']
    assert np.array_equal(
        np.asarray(picture),
        np.array(PALETTE, np.uint8)[project['one']])
    # CVAT paints with its own colours, which its label map names
    unpacked = tmp_path / 'unpacked'
    (unpacked / 'labelmap.txt').write_text('background:0,0,0::\n'
                                           'dog:200,10,10::\ncat:10,10,200::')
    masks = MASK_FORMATS['cvat'](CLASSES, PALETTE)
    photos = dict(one=str(tmp_path / 'photos/one.jpg'))
    found = dict(masks.read(unpacked, photos))
    assert np.array_equal(found['one'], np.array([0, 2, 1])[project['one']])
    (unpacked / 'labelmap.txt').write_text('background:0,0,0::\n')
    with pytest.raises(ValueError, match='#0a0ac8 is not in labelmap.txt'):
        dict(masks.read(unpacked, photos))


def test_cvat_as_datumaro_reads_it(project, run, tmp_path):
    datumaro = pytest.importorskip('datumaro')  # CVAT imports with it
    run('export_masks', 'masks', 'photos', 'out.zip', '--format', 'cvat')
    with zipfile.ZipFile(tmp_path / 'out.zip') as archive:
        archive.extractall(tmp_path / 'unpacked')
    found = datumaro.Dataset.import_from(
        str(tmp_path / 'unpacked'), 'voc_segmentation')
    labels = found.categories()[datumaro.AnnotationType.label]
    assert [label.name for label in labels] == list(CLASSES)
    for item in found:
        mask = project.pop(item.id)
        made = np.zeros_like(mask)
        for annotation in item.annotations:
            made[annotation.image.astype(bool)] = annotation.label
        assert np.array_equal(made, mask)
        assert sorted(a.label for a in item.annotations) == [
            i for i in (1, 2) if (mask == i).any()
        ]
    assert not project


def test_interface_of_label_studio(tmp_path):
    masks = LabelStudioMasks(('background', 'a "b" <c>'), PALETTE)
    mask = np.array([[0, 1]], np.uint8)
    masks.write([NamedMask('x/1', 'x/1 ü.jpg', mask)], tmp_path / 'out.json')
    task, = json.loads((tmp_path / 'out.json').read_text())
    assert task['data'] == dict(
        image='/data/local-files/?d=x/1%20%C3%BC.jpg', image_id='x/1')
    from xml.etree import ElementTree
    view = ElementTree.parse(tmp_path / 'out.xml').getroot()
    brush = view.find('BrushLabels')
    result, = task['predictions'][0]['result']
    assert (brush.get('name'), brush.get('toName')) == (result['from_name'],
                                                        result['to_name'])
    assert [label.attrib for label in brush
            ] == [dict(value='a "b" <c>', background='#c80a0a')]
    # nobody has submitted it: a prediction is no true mask
    task['annotations'] = []
    (tmp_path / 'out.json').write_text(json.dumps([task]))
    assert not dict(
        masks.read(tmp_path / 'out.json', dict.fromkeys(['x/1'], '')))


def test_what_cannot_be_exported(project, run, tmp_path, capsys):

    def error(*args):
        assert run('export_masks', 'masks', 'photos', *args) == 1
        assert not [*tmp_path.glob('out*'), *tmp_path.glob('.tmp-*')]
        return capsys.readouterr().err

    assert 'ends in .zip' in error('out.png', '--format', 'cvat')
    write_index_mask(tmp_path / 'masks/one.png', np.full((7, 9), 255))
    assert 'holds the value 255' in error('out.zip', '--format', 'cvat')
    write_index_mask(tmp_path / 'masks/one.png', np.zeros((7, 8)))
    assert "'one.png' is (7, 8)" in error('out.json', '--format',
                                          'coco-rle').replace(
                                              'masks/one.png', "'one.png'")


@pytest.mark.parametrize('name, content', [
    ('coco-rle', b'[]'),
    ('coco-rle', b'{"images": [], "annotations": []}'),
    ('cvat', b'PK'),
    ('label-studio', b'{}'),
    ('label-studio', b'[{"id": 1, "choice": "cat"}]'),
])
def test_another_file(project, run, tmp_path, capsys, name, content):
    (tmp_path / 'bad').write_bytes(content)
    assert run('import_masks', 'bad', 'photos', 'back', '--format', name) == 1
    assert 'error: bad' in capsys.readouterr().err
    assert not [*tmp_path.glob('back*'), *tmp_path.glob('.tmp-*')]


BROKEN_SEGMENTATIONS = {
    'counts 1 pixels of 20': dict(size=[4, 5], counts='1'),
    'counts 0 pixels of 20': dict(size=[4, 5], counts=''),
    'cut': dict(size=[4, 5], counts='P'),
    'no whole': dict(size=[4, 5], counts=[10.5, 9.5]),
    'no whole numbers': dict(size=[4, 5], counts=[-5, 25]),
    'reaches 1000000000': [[0, 0, 1e9, 0, 1e9, 1e9]],
    'reaches inf': [[0, 0, 1e999, 0, 3, 3]],
}


@pytest.mark.parametrize('expected', BROKEN_SEGMENTATIONS)
def test_broken_segmentation(expected):
    """pycocotools takes memory as it is for these, or crashes."""
    pytest.importorskip('pycocotools')
    with pytest.raises(ValueError, match=expected):
        rasterize(BROKEN_SEGMENTATIONS[expected], (4, 5))


def test_compressed_runs_are_those_of_pycocotools():
    coco = pytest.importorskip('pycocotools.mask')
    for seed in range(20):
        rng = np.random.default_rng(seed)
        region = rng.random((300, 200)) < rng.random()**4
        region[:, 50:150] ^= bool(seed % 2)
        rle = coco.encode(np.asfortranarray(region, np.uint8))
        rle['counts'] = rle['counts'].decode()
        assert np.array_equal(rasterize(rle, region.shape), region)


def other_id(content):
    content['annotations'][0]['category_id'] = 9


def same_id(content):
    content['images'][1]['id'] = content['images'][0]['id']


def huge(content):
    content['images'][0].update(height=10**6, width=10**6)


@pytest.mark.parametrize('change, expected', [
    (other_id, 'category_id 9 of annotation 1'),
    (same_id, 'two of its images have one id'),
    (huge, r'\(1000000, 1000000\) \(H, W\)'),
])
def test_coco_file_that_does_not_fit(project, run, tmp_path, capsys, change,
                                     expected):
    pytest.importorskip('pycocotools')
    assert not run('export_masks', 'masks', 'photos', 'a.json', '--format',
                   'coco-rle')
    content = json.loads((tmp_path / 'a.json').read_bytes())
    change(content)
    (tmp_path / 'a.json').write_text(json.dumps(content))
    assert run('import_masks', 'a.json', 'photos', 'back', '--format',
               'coco-rle') == 1
    assert re.search(f'error: a.json.*{expected}', capsys.readouterr().err)


def test_zip_bomb(project, run, tmp_path, capsys, monkeypatch):
    """What an archive would unpack to is known before."""
    monkeypatch.setattr('mmlpcam.converters.mask_formats.cvat.MAX_MEMBER_SIZE',
                        1000)
    with zipfile.ZipFile('a.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('labelmap.txt', '# ' + ' ' * 10**5)
    assert run('import_masks', 'a.zip', 'photos', 'back', '--format',
               'cvat') == 1
    assert 'labelmap.txt says that it has 100002 bytes' in (
        capsys.readouterr().err)


def test_list_with_byte_order_mark(project, run, tmp_path):
    """Notepad writes one, and ends lines with two characters."""
    (tmp_path / 'ids.txt').write_bytes(b'\xef\xbb\xbfone\r\nempty\r\n')
    assert not run('export_masks', 'masks', 'photos', 'a.zip', '--format',
                   'cvat', '--ids', 'ids.txt')
    with zipfile.ZipFile('a.zip') as archive:
        assert archive.read('ImageSets/Segmentation/default.txt') == (
            b'one\nempty\n')
