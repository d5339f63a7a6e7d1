"""Converters of real data sets, on tiny copies of their layouts."""
import json
import multiprocessing
import os
import re
import runpy
import select
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import TASK_UTILS
from PIL import Image
from pycocotools import mask as coco_api
from scipy.io import savemat

from mmlpcam.converters import coco_masks, voc_aug
from mmlpcam.converters.coco_masks import (COCOImage, COCOInstance, paint_mask,
                                           read_instances)
from mmlpcam.datasets import ImageLabelDataset
from mmlpcam.datasets.coco_objects import CATEGORY_IDS, CLASSES
from mmlpcam.utils.masks import read_index_mask, voc_colormap, write_index_mask
from mmlpcam.utils.parallel import parallel_map

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Run a tool in this process: returns exit status, stdout, stderr."""

    def run(name, *args):
        path = str(TOOLS / name)
        monkeypatch.setattr(sys, 'argv', [path, *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(path, run_name='__main__')
        return stop.value.code, *capsys.readouterr()

    return run


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def box(x1, y1, x2, y2):
    """Polygon of the pixels [y1, y2) x [x1, x2)."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


@pytest.mark.parametrize('tool', [
    'dataset_converters/coco_objects.py', 'dataset_converters/voc_aug.py',
    'prepare_image_labels.py'
])
def test_help_ends_with_an_example(run_tool, tool):
    status, out, _ = run_tool(tool, '--help')
    assert status == 0
    assert 'example' in out and Path(tool).name in out


# --- parallel_map ---------------------------------------------------------


@pytest.mark.parametrize('nproc', [1, 2])
def test_results_keep_their_order(nproc):
    assert parallel_map(
        abs, range(-40, 0), nproc=nproc) == list(range(40, 0, -1))
    assert parallel_map(abs, [], nproc=nproc) == []


def test_dead_worker_is_reported():
    with pytest.raises(RuntimeError, match='worker process died.*--nproc'):
        parallel_map(os._exit, [1, 1], nproc=2)


def report_and_sleep(pipe):
    os.write(pipe, b'.')
    time.sleep(60)


@pytest.mark.skipif(
    multiprocessing.get_start_method() != 'fork', reason='needs forks')
def test_workers_end_with_a_killed_parent():
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            parallel_map(report_and_sleep, [write] * 32, nproc=2)
        finally:
            os._exit(0)
    os.close(write)
    for _ in range(2):
        assert os.read(read, 1) == b'.'
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    # the pipe ends with the last process that could write to it
    assert select.select([read], [], [], 20)[0]
    assert os.read(read, 1) == b''
    os.close(read)


@pytest.mark.parametrize('nproc', [1, 2])
def test_error_of_a_task_is_passed_on(nproc):
    with pytest.raises(ValueError, match="literal for int.*'x'"):
        parallel_map(int, ['1', 'x', '2'], nproc=nproc)


# --- COCO: what is painted ------------------------------------------------

PERSON, BICYCLE, BRUSH = 1, 2, 80


def paint(*instances, size=(6, 8)):
    return paint_mask(
        COCOImage('a.jpg', size,
                  tuple(COCOInstance(7, *instance) for instance in instances)))


def test_later_instances_cover_earlier_ones():
    small, large = [box(3, 2, 5, 4)], [box(1, 1, 7, 5)]
    expected = np.zeros((6, 8), np.uint8)
    expected[1:5, 1:7] = PERSON
    expected[2:4, 3:5] = BRUSH
    mask = paint((PERSON, large), (BRUSH, small))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)
    # size does not matter: the large one comes last and covers all
    expected[expected > 0] = PERSON
    np.testing.assert_array_equal(
        paint((BRUSH, small), (PERSON, large)), expected)


def test_polygons_of_one_instance_are_joined():
    # pycocotools would take the last one, two points, for a box
    mask = paint(
        (BICYCLE,
         [box(0, 0, 2, 2),
          box(1, 1, 3, 3),
          box(6, 4, 8, 6), [0, 4, 3, 6]]))
    expected = np.zeros((6, 8), np.uint8)
    expected[0:2, 0:2] = expected[1:3, 1:3] = expected[4:6, 6:8] = BICYCLE
    np.testing.assert_array_equal(mask, expected)
    assert not paint((BICYCLE, [[0, 4, 3, 6]])).any()


def test_rle_compressed_or_not():
    region = np.zeros((6, 8), np.uint8)
    region[2:4, 1:3] = 1
    # counts go down the columns: 6 + 2 pixels off, 2 on, 4 off, 2 on
    plain = dict(size=[6, 8], counts=[8, 2, 4, 2, 32])
    packed = coco_api.encode(np.asfortranarray(region))
    packed['counts'] = packed['counts'].decode()  # as in JSON
    for rle in (plain, packed):
        np.testing.assert_array_equal(paint((BRUSH, rle)), BRUSH * region)


@pytest.mark.parametrize('segmentation, message', [
    ([], 'got .*boxes only'),
    (None, 'got None.*boxes only'),
    ([[1, 1, 2, 2, 3, 3, 4]], 'odd number of coordinates'),
    ([1, 2, 3, 4], 'has no len'),
    (dict(size=[8, 6], counts='x'), r'\(8, 6\), but the image is \(6, 8\)'),
    (dict(size=[6, 8], counts=[40, 9]), '49 pixels of 48'),
    (dict(size=[6, 8]), 'counts'),
])
def test_segmentation_that_cannot_be_read_is_named(segmentation, message):
    with pytest.raises(
            ValueError, match=rf"annotation 7 of image 'a\.jpg' .*{message}"):
        paint((PERSON, segmentation))


# --- COCO: the tool -------------------------------------------------------


class TinyCOCO:
    """Three images: overlap and crowd, no annotation, RLE."""
    names = ('COCO_train2014_000000000009', 'COCO_train2014_000000000025',
             'COCO_train2014_000000000030')

    def __init__(self, root):
        self.ann_file = root / 'instances_train2014.json'
        self.out = root / 'masks' / 'train2014'
        self.data = dict(
            images=[
                dict(
                    id=9, file_name=f'{self.names[0]}.jpg', height=6, width=8),
                dict(
                    id=25, file_name=f'{self.names[1]}.jpg', height=5,
                    width=4),
                dict(
                    id=30, file_name=f'{self.names[2]}.jpg', height=7,
                    width=3),
            ],
            annotations=[
                self.item(1, 9, 90, [box(3, 2, 5, 4)]),
                self.item(2, 30, 2, dict(size=[7, 3], counts=[0, 14, 7])),
                self.item(3, 9, 1, [box(4, 1, 8, 5)]),
                # covers all, but is a crowd
                self.item(4, 9, 13, dict(size=[6, 8], counts=[0, 48]), 1),
            ],
            categories=[
                dict(id=id_, name=name)
                for id_, name in zip(CATEGORY_IDS, CLASSES[1:])
            ])
        self.masks = [
            np.zeros((6, 8), np.uint8),
            np.zeros((5, 4), np.uint8),
            np.zeros((7, 3), np.uint8)
        ]
        self.masks[0][2:4, 3:5] = BRUSH
        self.masks[0][1:5, 4:8] = PERSON
        self.masks[2][:, :2] = BICYCLE
        self.write()

    @staticmethod
    def item(id_, image_id, category_id, segmentation, iscrowd=0):
        return dict(
            id=id_,
            image_id=image_id,
            category_id=category_id,
            segmentation=segmentation,
            iscrowd=iscrowd)

    def write(self, **changes):
        self.ann_file.write_text(json.dumps({**self.data, **changes}))

    def mask_file(self, index):
        return self.out / f'{self.names[index]}.png'


@pytest.fixture
def tiny_coco(tmp_path):
    return TinyCOCO(tmp_path)


@pytest.fixture
def run_coco(run_tool, tiny_coco):

    def run(*args, nproc=1):
        return run_tool('dataset_converters/coco_objects.py',
                        tiny_coco.ann_file, tiny_coco.out, '--nproc', nproc,
                        *args)

    return run


@pytest.mark.parametrize('nproc', [1, 2])
def test_coco_masks(tiny_coco, run_coco, nproc):
    status, out, err = run_coco(nproc=nproc)
    assert (status, err) == (0, '')
    assert out.startswith(f'3 masks in {tiny_coco.out}: 3 written, 0 were '
                          'there; 1 of them have no instance')
    assert out.count('\n') == 1 and '\r' not in out  # no progress bar
    assert sorted(files_of(
        tiny_coco.out)) == [f'{name}.png' for name in tiny_coco.names]
    for index, expected in enumerate(tiny_coco.masks):
        with Image.open(tiny_coco.mask_file(index)) as image:
            assert image.mode == 'P'
            assert image.getpalette() == np.ravel(voc_colormap()).tolist()
            np.testing.assert_array_equal(np.array(image), expected)


def test_coco_progress_on_a_terminal(run_coco, monkeypatch):
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    status, out, _ = run_coco()
    assert status == 0
    assert out.count('3/3') == 2  # writing and checking


def test_coco_masks_that_are_there_are_kept(tiny_coco, run_coco):
    assert run_coco()[0] == 0
    before = files_of(tiny_coco.out)
    # right size and classes, but not what would be written
    write_index_mask(tiny_coco.mask_file(0), np.full((6, 8), PERSON, np.uint8))
    tiny_coco.mask_file(1).unlink()
    (tiny_coco.out / '.tmp-killed.png').write_bytes(b'half')
    status, out, _ = run_coco()
    assert status == 0 and '1 written, 2 were there' in out
    changed = files_of(tiny_coco.out)
    assert changed.keys() == before.keys()
    assert [name for name in before
            if before[name] != changed[name]] == [tiny_coco.mask_file(0).name]
    assert '3 written, 0 were there' in run_coco('--overwrite')[1]
    assert files_of(tiny_coco.out) == before


@pytest.mark.parametrize('mask, message', [
    (np.zeros((8, 6), np.uint8), r'expected \(H, W\) = \(6, 8\).*\(8, 6\)'),
    (np.full((6, 8), 13, np.uint8), r'has the values \[13\].*no instance'),
    (np.full((6, 8), 255, np.uint8), r'has the values \[255\]'),
    (None, 'is no valid index mask'),
])
def test_coco_check_finds_wrong_masks(tiny_coco, run_coco, mask, message):
    assert run_coco()[0] == 0
    path = tiny_coco.mask_file(0)
    if mask is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        write_index_mask(path, mask)
    status, out, err = run_coco()
    assert status == 1 and out == ''
    assert err.startswith('error: 1 of 3 masks are wrong, such as\n'
                          f'{path}')
    assert re.search(message, err)
    assert '--overwrite' in err
    assert run_coco('--overwrite')[0] == 0


def test_coco_check_finds_missing_masks(tiny_coco, run_coco, monkeypatch):
    monkeypatch.setattr(coco_masks, 'write_missing', lambda *_, **__: 0)
    status, _, err = run_coco()
    assert status == 1
    assert 'error: 3 of 3 masks are wrong' in err
    assert err.count(': missing\n') == 3


def test_bad_coco_input_keeps_what_was_there(tiny_coco, run_coco):
    assert run_coco()[0] == 0
    before = files_of(tiny_coco.out)
    items = tiny_coco.data['annotations']
    tiny_coco.write(annotations=[*items, tiny_coco.item(5, 30, 1, [])])
    status, _, err = run_coco('--overwrite')
    assert status == 1
    assert err.startswith('error: annotation 5 of image '
                          f"'{tiny_coco.names[2]}.jpg' has no valid")
    assert err.count('\n') == 1
    assert files_of(tiny_coco.out) == before


def test_coco_files_that_do_not_fit(tiny_coco, run_coco):
    data = tiny_coco.data
    item = tiny_coco.item
    for changes, message in (
        (dict(categories=[dict(id=1, name='vehicle')]),
         "category 1 is 'vehicle', but 'person' among the 80"),
        (dict(categories=[dict(id=92, name='banner')]),
         "category 92 is 'banner', but None"),
        (dict(annotations=[item(5, 9, 12, [])]),
         'annotation 5 has category_id 12, which is none'),
        (dict(annotations=[item(5, 8, 1, [])]),
         "annotations are of 1 images .* 'image_id' 8"),
        (dict(images=[
            *data['images'],
            dict(
                id=1,
                file_name=f'x/{tiny_coco.names[0]}.jpg',
                height=1,
                width=1)
        ]), r"share the mask 'COCO_train2014_000000000009\.png'"),
        (dict(images=[dict(id=9, file_name='a.jpg', width=1)]),
         "'height' is missing"),
    ):
        tiny_coco.write(**changes)
        with pytest.raises(ValueError, match=f'2014.json .*{message}'):
            read_instances(tiny_coco.ann_file)
    for text, message in (('[]', 'expected a COCO instances file.*got list'),
                          ('{}', "'categories' is missing"),
                          ('{"a"',
                           'instances_train2014.json is no.*Expecting')):
        tiny_coco.ann_file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_instances(tiny_coco.ann_file)
    tiny_coco.ann_file.unlink()
    status, _, err = run_coco()
    assert status == 1 and 'instances_train2014.json' in err
    assert not tiny_coco.out.exists()


def test_coco_tool_asks_for_pycocotools(tiny_coco, run_coco, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    status, _, err = run_coco()
    assert status == 1
    assert err.startswith('error: ') and 'pip install pycocotools' in err
    assert not tiny_coco.out.exists()


def test_coco_tool_refuses_no_process(run_coco):
    status, _, err = run_coco(nproc=0)
    assert status == 2 and 'at least 1, but got 0' in err


def test_coco_masks_of_real_photos(coco_mini):
    """128 photos against masks that somebody else made.

    Those were painted with the largest object first, and show crowds that
    the JSON does not hold. So the two agree as far as the order lets them,
    and, painted in the same order, but for outlines and crowds.
    """
    images = read_instances(coco_mini / 'annotations' /
                            'instances_train2017.json')
    assert len(images) == 128

    def area(image, instance):
        return (paint_mask(replace(image, instances=(instance, ))) > 0).sum()

    def agreement(images):
        equal = total = both = either = equal_both = 0
        for image in images:
            mask = paint_mask(image)
            other = read_index_mask(coco_mini / 'masks80' / 'train2017' /
                                    image.mask_name)
            assert mask.shape == other.shape
            equal += (mask == other).sum()
            total += mask.size
            fore = (mask > 0) & (other > 0)
            both += fore.sum()
            either += ((mask > 0) | (other > 0)).sum()
            equal_both += (mask == other)[fore].sum()
        return equal / total, both / either, equal_both / both

    pixels, foreground, classes = agreement(images)  # 98.6 %, 97.8 %, 97.7 %
    assert pixels > 0.985 and foreground > 0.975 and classes > 0.975
    pixels, _, classes = agreement([
        replace(
            image,
            instances=tuple(
                sorted(image.instances, key=lambda i: -area(image, i))))
        for image in images
    ])  # 99.2 %, 99.7 %
    assert pixels > 0.99 and classes > 0.995


# --- VOC and SBD ----------------------------------------------------------


class TinyVOC:
    """Five images; one of each kind that train_aug takes or leaves."""
    splits = {
        'VOC train': ['2007_000001', '2007_000002'],
        'VOC val': ['2007_000003'],
        'SBD train': ['2008_000004', '2007_000003'],
        'SBD val': ['2008_000005', '2007_000001'],
    }
    train_aug = ['2007_000001', '2007_000002', '2008_000004', '2008_000005']

    def __init__(self, root):
        self.voc = root / 'VOCdevkit' / 'VOC2012'
        self.sbd = root / 'benchmark_RELEASE' / 'dataset'
        self.out = self.voc / 'SegmentationClassAug'
        self.list = self.voc / 'ImageSets' / 'Segmentation' / 'train_aug.txt'
        sets = self.list.parent
        for folder in (sets, self.voc / 'JPEGImages', self.voc / 'Annotations',
                       self.sbd / 'cls'):
            folder.mkdir(parents=True)
        for name, folder in (('VOC', sets), ('SBD', self.sbd)):
            for split in ('train', 'val'):
                folder.joinpath(f'{split}.txt').write_text(
                    '\n'.join(self.splits[f'{name} {split}']) + '\n')
        for i, image_id in enumerate([*self.train_aug, '2007_000003']):
            Image.new('RGB', (9, 5 + i)).save(self.photo(image_id))
            self.xml(image_id).write_text('<annotation/>')
        self.masks = {}
        for i, image_id in enumerate(self.train_aug):
            mask = np.zeros((5 + i, 9), np.uint8)
            mask[1:4, 2:5] = i + 17  # up to class 20
            if i < 2:  # VOC has ignored pixels, SBD has not
                mask[0] = 255
                write_index_mask(
                    self.voc / 'SegmentationClass' / f'{image_id}.png', mask)
            else:
                self.write_mat(image_id, mask)
            self.masks[image_id] = mask
        # SBD has another opinion on an image of VOC
        self.write_mat('2007_000001', np.full((5, 9), 3, np.uint8))

    def photo(self, image_id):
        return self.voc / 'JPEGImages' / f'{image_id}.jpg'

    def xml(self, image_id):
        return self.voc / 'Annotations' / f'{image_id}.xml'

    def mat(self, image_id):
        return self.sbd / 'cls' / f'{image_id}.mat'

    def write_mat(self, image_id, mask):
        savemat(
            self.mat(image_id),
            dict(GTcls=dict(Segmentation=mask, CategoriesPresent=[3])))


@pytest.fixture
def tiny_voc(tmp_path):
    return TinyVOC(tmp_path)


@pytest.fixture
def run_voc(run_tool, tiny_voc):

    def run(*args, nproc=1):
        return run_tool('dataset_converters/voc_aug.py', tiny_voc.voc,
                        tiny_voc.sbd, '--nproc', nproc, *args)

    return run


@pytest.mark.parametrize('nproc', [1, 2])
def test_voc_aug(tiny_voc, run_voc, nproc):
    status, out, err = run_voc(nproc=nproc)
    assert status == 0
    assert tiny_voc.list.read_text().split() == tiny_voc.train_aug
    assert sorted(files_of(tiny_voc.out)) == [
        f'{image_id}.png' for image_id in tiny_voc.train_aug
    ]
    for image_id, expected in tiny_voc.masks.items():
        with Image.open(tiny_voc.out / f'{image_id}.png') as image:
            assert image.mode == 'P'
            assert image.getpalette()[-3:] == [224, 224, 192]
            np.testing.assert_array_equal(np.array(image), expected)
    assert '4 images, written' in out and '4 masks written, 0 were' in out
    assert err.startswith(
        'warning: train_aug has 4 images, but 10582 with complete data')
    assert 'VOC train 2 (complete: 1464)' in err
    assert err.count('\n') == 1


def test_no_warning_about_complete_data(run_voc, monkeypatch):
    monkeypatch.setattr(voc_aug, 'NUM_IMAGES', 4)
    assert run_voc()[2] == ''


def test_voc_aug_again(tiny_voc, run_voc):
    run_voc()
    before = files_of(tiny_voc.out)
    victim = tiny_voc.out / '2008_000004.png'
    victim.unlink()
    # the same list in another order, such as a downloaded one
    tiny_voc.list.write_text('\n'.join(tiny_voc.train_aug[::-1]))
    status, out, _ = run_voc()
    assert status == 0
    assert '4 images, was there' in out and '1 masks written, 3 were' in out
    assert tiny_voc.list.read_text().split() == tiny_voc.train_aug[::-1]
    assert files_of(tiny_voc.out) == before


def test_list_of_other_images_is_not_replaced(tiny_voc, run_voc):
    tiny_voc.list.write_text('2007_000001\n2010_000001\n')
    status, _, err = run_voc('--list-only')
    assert status == 1
    assert ('lists other images: 2 rather than 4, 1 in common; replace it '
            'with --overwrite') in err
    assert tiny_voc.list.read_text() == '2007_000001\n2010_000001\n'
    assert run_voc('--list-only', '--overwrite')[0] == 0
    assert tiny_voc.list.read_text().split() == tiny_voc.train_aug


def test_list_only_needs_no_masks(tiny_voc, run_voc):
    for path in (tiny_voc.sbd / 'cls').iterdir():
        path.unlink()
    status, out, _ = run_voc('--list-only')
    assert status == 0 and 'masks' not in out
    assert not tiny_voc.out.exists()
    status, _, err = run_voc()
    assert status == 1
    assert '2 of 4 masks to convert do not exist' in err
    assert '--list-only' in err
    assert not tiny_voc.out.exists()


def test_missing_photos_and_annotations_are_reported(tiny_voc, run_voc):
    tiny_voc.photo('2008_000005').unlink()
    tiny_voc.xml('2007_000002').unlink()
    tiny_voc.xml('2008_000004').unlink()
    status, _, err = run_voc()
    assert status == 1
    assert ("1 of 4 images of train_aug have no JPEGImages/<id>.jpg: "
            "'2008_000005'") in err
    assert ("2 of 4 images of train_aug have no Annotations/<id>.xml: "
            "'2007_000002', '2008_000004'") in err
    assert len(files_of(tiny_voc.out)) == 4


def test_wrong_folders_are_explained(tiny_voc, run_tool):
    for voc, sbd in ((tiny_voc.voc.parent, tiny_voc.sbd),
                     (tiny_voc.voc, tiny_voc.sbd.parent)):
        status, _, err = run_tool('dataset_converters/voc_aug.py', voc, sbd)
        assert status == 1
        assert 'train.txt' in err and 'VOCdevkit/VOC2012' in err
        assert 'benchmark_RELEASE/dataset' in err


@pytest.mark.parametrize('write, message', [
    (lambda voc: voc.mat('2008_000004').write_bytes(b'no mat'),
     '2008_000004.mat: not a class mask of SBD'),
    (lambda voc: savemat(voc.mat('2008_000004'), dict(GTinst=1)),
     "2008_000004.mat: not a class mask of SBD.*'GTcls'"),
    (lambda voc: voc.write_mat('2008_000004', np.zeros((7, 9))),
     r'expected GTcls.Segmentation.*got float64 of shape \(7, 9\)'),
    (lambda voc: voc.write_mat('2008_000004', np.full((7, 9), 21, np.uint8)),
     r'2008_000004.mat: has the values \[21\]; expected 0 to 20, or 255'),
    (lambda voc: Image.new('RGB', (9, 5)).save(voc.voc / 'SegmentationClass' /
                                               '2007_000001.png'),
     '2007_000001.png is no valid index mask.*colour'),
])
def test_bad_masks_are_named(tiny_voc, run_voc, write, message):
    run_voc()
    before = files_of(tiny_voc.out)
    write(tiny_voc)
    status, _, err = run_voc('--overwrite')
    assert status == 1
    assert re.search(message, err)
    assert files_of(tiny_voc.out) == before


def test_voc_check_finds_wrong_masks(tiny_voc, run_voc):
    run_voc()
    write_index_mask(tiny_voc.out / '2007_000001.png',
                     np.zeros((9, 5), np.uint8))
    write_index_mask(tiny_voc.out / '2007_000002.png',
                     np.full((6, 9), 30, np.uint8))
    (tiny_voc.out / '2008_000004.png').write_bytes(b'half')
    status, _, err = run_voc()
    assert status == 1
    assert 'error: 3 of 4 masks are wrong' in err
    assert 'is (H, W) = (9, 5), but its photo is (5, 9)' in err
    assert 'has the values [30]' in err
    assert 'is no valid index mask' in err
    assert run_voc('--overwrite')[0] == 0


# --- prepare_image_labels -------------------------------------------------


@pytest.fixture
def run_prepare(run_tool, voc_mini, tmp_path):
    """The tool on the six images of conftest."""

    def run(*args, source='VOCXMLLabels', options=None, classes=None):
        if options is None:
            options = [f'ann_dir={voc_mini.root / "Annotations"}']
        classes = classes or ['--classes', *voc_mini.metainfo['classes'][1:]]
        return run_tool('prepare_image_labels.py', '--source', source,
                        *(['--source-options', *options] if options else []),
                        *classes, '--img-dir', voc_mini.root / 'JPEGImages',
                        '--out', tmp_path / 'labels.json', *args)

    return run


def read_with(voc_mini, **labels):
    cfg = voc_mini.dataset()
    dataset = ImageLabelDataset(cfg['dataset'], TASK_UTILS.build(labels))
    return [dataset.get_data_info(i)['img_labels'] for i in range(6)]


@pytest.mark.parametrize('with_list', [True, False])
def test_prepared_labels_equal_their_source(voc_mini, run_prepare, tmp_path,
                                            with_list):
    sets = voc_mini.root / 'ImageSets' / 'Segmentation'
    args = ['--ann-file', sets / 'train.txt'] if with_list else []
    status, out, _ = run_prepare(*args)
    assert status == 0
    labels = tmp_path / 'labels.json'
    assert json.loads(labels.read_text()) == {
        image_id: sorted(objects)
        for image_id, objects in voc_mini.labels.items()
    }
    assert read_with(
        voc_mini, type='JSONLabels', json_file=str(labels)) == voc_mini.indices
    rows = [line.replace('|', '').split() for line in out.splitlines()]
    for row in (['cat', '3'], ['dog', '3'], ['bird', '0']):
        assert row in rows
    assert '6 images, 1 without label, 1.00 labels per image' in out


@pytest.mark.parametrize('source', ['MaskLabels', 'CSVLabels', 'NPYLabels'])
def test_other_sources_give_the_same_file(voc_mini, run_prepare, tmp_path,
                                          source):
    run_prepare()
    labels = tmp_path / 'labels.json'
    first = labels.read_bytes()
    options = dict(MaskLabels=f'mask_dir={voc_mini.root}/SegmentationClass')
    options['CSVLabels'] = f'csv_file={tmp_path}/tags.csv'
    (tmp_path / 'tags.csv').write_text(''.join(
        f'{image_id}.jpg,{"/".join(objects)}\n'
        for image_id, objects in voc_mini.labels.items()))
    options['NPYLabels'] = f'npy_file={tmp_path}/labels.npy'
    vectors = np.zeros((6, 3), np.float32)
    for vector, indices in zip(vectors, voc_mini.indices):
        vector[list(indices)] = 1
    np.save(tmp_path / 'labels.npy', vectors)
    extra = ['sep=/'] if source == 'CSVLabels' else []
    status, _, err = run_prepare(
        '--overwrite', source=source, options=[options[source], *extra])
    assert status == 0, err
    assert labels.read_bytes() == first


def test_classes_of_a_registered_dataset(voc_mini, run_prepare, tmp_path):
    status, out, _ = run_prepare(classes=['--dataset', 'PascalVOCDataset'])
    assert status == 0 and 'tvmonitor' in out
    assert json.loads(
        (tmp_path /
         'labels.json').read_text())['2007_000003'] == ['cat', 'dog']


def test_label_file_is_not_replaced(run_prepare, tmp_path):
    (tmp_path / 'labels.json').write_text('mine')
    status, _, err = run_prepare()
    assert status == 1 and 'is there already; replace it with --over' in err
    assert (tmp_path / 'labels.json').read_text() == 'mine'
    assert run_prepare('--overwrite')[0] == 0


@pytest.mark.parametrize('kwargs, message', [
    (dict(options=['ann_dri=x']),
     "--source-options ann_dri=x: missing a required argument: 'ann_dir'"),
    (dict(options=['with_difficult=False']),
     "missing a required argument: 'ann_dir'; those of VOCXMLLabels are"),
    (dict(source='VOCLabels'),
     'got VOCLabels. Registered are: VOCXMLLabels, '),
    (dict(source='mIoU'), 'Registered are: COCOJSONLabels, CSVLabels, '),
    (dict(classes=['--classes', 'cat']), "unknown class 'dog'"),
    (dict(classes=['--classes', 'Background', 'cat']),
     "leave out 'Background'"),
    (dict(classes=['--dataset', 'PascalVOCDatset']),
     'nearest names: PascalVOCDataset'),
    (dict(classes=['--dataset', 'BaseSegDataset']), 'no classes of its own'),
    (dict(classes=['--dataset', 'ADE20KDataset']),
     'class 0 of the dataset must be the background'),
    (dict(source='FolderLabels',
          options=[]), 'have no entry in a class folder'),
])
def test_prepare_explains_what_is_wrong(run_prepare, tmp_path, kwargs,
                                        message):
    status, out, err = run_prepare(**kwargs)
    assert status == 1 and out == ''
    assert err.startswith('error: ') and message in err
    assert not (tmp_path / 'labels.json').exists()


@pytest.mark.parametrize('args, message', [
    (('--img-dir', 'nowhere'), "`img_path` .*'nowhere' does not"),
    (('--ann-file', 'none.txt'), "`ann_file` .*'none.txt' does not"),
])
def test_prepare_names_missing_images(run_prepare, args, message):
    status, _, err = run_prepare(*args)
    assert status == 1
    assert re.search(message, err)


def test_classes_of_one_name_are_refused(run_prepare, voc_mini, tmp_path):
    # the second 'cat' cannot be told from the first by name
    vectors = np.eye(6, 4)
    np.save(tmp_path / 'labels.npy', vectors)
    status, _, err = run_prepare(
        source='NPYLabels',
        options=[f'npy_file={tmp_path / "labels.npy"}'],
        classes=['--classes', 'cat', 'cat', 'dog', 'bird'])
    assert status == 1 and "the class 'cat' is there twice" in err
    assert not (tmp_path / 'labels.json').exists()
