import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules
from PIL import Image

from mmlpcam.converters.parts import (SETTINGS_FILE, PartsSettings,
                                      draw_parts_sample, generator,
                                      make_parts_dataset)
from mmlpcam.datasets.parts import CLASSES, PALETTE, PartsDataset

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'dataset_converters' / 'make_parts_dataset.py'
SMALL = PartsSettings(num_train=10, num_val=5, size=(64, 80), seed=3)


@pytest.fixture(scope='module')
def parts_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'parts'
    assert make_parts_dataset(root, SMALL)
    return root


def read_tree(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(Path(root).rglob('*')) if path.is_file()
    }


def names_of(root, split):
    path = root / 'ImageSets' / 'Segmentation' / f'{split}.txt'
    return path.read_text().split()


# --- what is drawn --------------------------------------------------------


def test_sample_is_what_its_types_promise():
    sample = draw_parts_sample(0, 'train', 1, size=(96, 130))
    assert sample.image.shape == (96, 130, 3)
    assert sample.image.dtype == np.uint8
    assert sample.mask.shape == (96, 130)
    assert sample.mask.dtype == np.uint8
    assert not (sample.telling & (sample.mask == 0)).any()


@pytest.mark.parametrize('size', [(128, 128), (64, 160)])
def test_sample_depends_on_its_arguments_only(size):
    first = draw_parts_sample(5, 'val', 7, size=size)
    draw_parts_sample(5, 'val', 6, size=size)
    again = draw_parts_sample(5, 'val', 7, size=size)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    for seed, split, index in ((6, 'val', 7), (5, 'train', 7), (5, 'val', 12)):
        other = draw_parts_sample(seed, split, index, size=size)
        assert (first.image != other.image).any()


def test_objects_are_telling_parts_on_larger_bodies():
    shares, num_objects, counts = [], [], np.zeros(len(CLASSES), int)
    for index in range(80):
        sample = draw_parts_sample(0, 'train', index)
        labels = [obj.label for obj in sample.objects]
        assert len(set(labels)) == len(labels)
        assert sorted(labels) == sorted(set(np.unique(sample.mask)) - {0})
        num_objects.append(len(labels))
        for obj in sample.objects:
            counts[obj.label] += 1
            visible = sample.mask == obj.label
            shares.append((sample.telling & visible).sum() / visible.sum())
        if len(labels) == 1:  # part and body touch
            num_regions, _, stats, _ = cv2.connectedComponentsWithStats(
                (sample.mask > 0).astype(np.uint8), connectivity=8)
            areas = stats[1:num_regions, cv2.CC_STAT_AREA]
            assert areas.max() > 0.97 * areas.sum()
    shares = np.array(shares)
    hidden = shares == 0  # the part is turned away now and then
    assert 0.03 < hidden.mean() < 0.2
    assert 0.15 < shares[~hidden].mean() < 0.25
    assert shares[~hidden].min() > 0.05
    assert shares.max() < 0.6
    assert set(num_objects) == {1, 2}
    assert 0.25 < np.mean(np.array(num_objects) == 2) < 0.55
    assert counts[1:].min() >= 16  # classes come in turn


def test_colors_of_an_image_do_not_leak_the_mask():
    # No channel value may tell foreground from background by itself.
    sample = draw_parts_sample(0, 'train', 0)
    fore = sample.mask > 0
    for channel in range(3):
        inside = np.unique(sample.image[..., channel][fore])
        outside = np.unique(sample.image[..., channel][~fore])
        assert len(np.intersect1d(inside, outside)) > 20
        low_bits = sample.image[..., channel] & 1
        assert abs(low_bits[fore].mean() - low_bits[~fore].mean()) < 0.1


def test_split_is_checked():
    with pytest.raises(ValueError, match=r"\('train', 'val'\).*'test'"):
        draw_parts_sample(0, 'test', 0)


@pytest.mark.parametrize('kwargs, error, message', [
    ({
        'num_train': 0
    }, ValueError, '`num_train` must be at least 1.* 0'),
    ({
        'num_val': -2
    }, ValueError, '`num_val` must be at least 1.* -2'),
    ({
        'seed': -1
    }, ValueError, '`seed` must not be negative.* -1'),
    ({
        'size': (128, 40)
    }, ValueError, r'\(H, W\) = \(128, 40\)'),
    ({
        'size': 128
    }, TypeError, r'pair \(H, W\).* 128'),
    ({
        'num_train': 2.0
    }, TypeError, '`num_train`.*2.0 of type float'),
    ({
        'seed': True
    }, TypeError, '`seed`.*True of type bool'),
])
def test_settings_are_checked(kwargs, error, message):
    with pytest.raises(error, match=message):
        PartsSettings(**kwargs)


# --- what is written ------------------------------------------------------


def test_layout(parts_root):
    files = read_tree(parts_root)
    expected = {SETTINGS_FILE}
    for split, num in (('train', 10), ('val', 5)):
        expected.add(f'ImageSets/Segmentation/{split}.txt')
        names = names_of(parts_root, split)
        assert len(names) == len(set(names)) == num
        for name in names:
            expected |= {
                f'JPEGImages/{name}.jpg', f'Annotations/{name}.xml',
                f'SegmentationClass/{name}.png'
            }
    assert set(files) == expected
    settings = json.loads(files[SETTINGS_FILE])
    assert settings['size'] == [64, 80]
    assert settings['seed'] == 3
    # nothing is left beside it
    assert os.listdir(parts_root.parent) == [parts_root.name]


def test_masks_agree_with_labels_and_boxes(parts_root):
    for split in ('train', 'val'):
        for index, name in enumerate(names_of(parts_root, split)):
            image = Image.open(parts_root / 'JPEGImages' / f'{name}.jpg')
            mask_file = Image.open(parts_root / 'SegmentationClass' /
                                   f'{name}.png')
            assert image.mode == 'RGB'
            assert image.size == mask_file.size == (80, 64)
            mask = np.array(mask_file)
            sample = draw_parts_sample(3, split, index, size=(64, 80))
            np.testing.assert_array_equal(mask, sample.mask)
            error = np.array(image).astype(int) - sample.image
            assert np.abs(error).mean() < 6

            root = ElementTree.parse(parts_root / 'Annotations' /
                                     f'{name}.xml').getroot()
            assert root.findtext('filename') == f'{name}.jpg'
            assert root.findtext('size/width') == '80'
            assert root.findtext('size/height') == '64'
            found = []
            for obj in root.iter('object'):
                label = CLASSES.index(obj.findtext('name'))
                found.append(label)
                assert obj.findtext('difficult') == '0'
                box = [
                    int(obj.findtext(f'bndbox/{key}'))
                    for key in ('xmin', 'ymin', 'xmax', 'ymax')
                ]
                rows, cols = np.nonzero(mask == label)
                assert box == [
                    cols.min() + 1,
                    rows.min() + 1,
                    cols.max() + 1,
                    rows.max() + 1
                ]
            assert sorted(found) == sorted(set(np.unique(mask)) - {0})


def test_masks_carry_the_palette(parts_root):
    name = names_of(parts_root, 'val')[0]
    mask = Image.open(parts_root / 'SegmentationClass' / f'{name}.png')
    assert mask.mode == 'P'
    levels = mask.getpalette()[:3 * len(PALETTE)]
    assert np.reshape(levels, (-1, 3)).tolist() == PALETTE
    assert len(PALETTE) == len(CLASSES)
    assert len(set(map(tuple, PALETTE))) == len(PALETTE)
    # MMSegmentation's loader sees indices, not colours
    values = cv2.imread(mask.filename, cv2.IMREAD_UNCHANGED)
    assert values.ndim == 3  # OpenCV applies the palette, Pillow does not
    loaded = Compose([{
        'type': 'mmseg.LoadAnnotations'
    }])({
        'seg_map_path': mask.filename,
        'seg_fields': [],
        'label_map': None,
        'reduce_zero_label': False
    })
    np.testing.assert_array_equal(loaded['gt_seg_map'], np.array(mask))


def test_same_settings_give_the_same_bytes(parts_root, tmp_path):
    make_parts_dataset(tmp_path / 'again', SMALL)
    assert read_tree(tmp_path / 'again') == read_tree(parts_root)


def test_images_do_not_depend_on_how_many_there_are(parts_root, tmp_path):
    fewer = PartsSettings(num_train=2, num_val=1, size=(64, 80), seed=3)
    make_parts_dataset(tmp_path / 'fewer', fewer)
    all_files = read_tree(parts_root)
    for name, data in read_tree(tmp_path / 'fewer').items():
        if not name.endswith(('.txt', '.json')):
            assert data == all_files[name]


def test_same_dataset_is_left_alone_and_another_needs_overwrite(tmp_path):
    root = tmp_path / 'parts'
    one = PartsSettings(1, 1, (48, 48), 0)
    two = PartsSettings(2, 1, (48, 48), 0)
    assert make_parts_dataset(root, one)
    before = read_tree(root)
    stamp = root.stat().st_mtime_ns
    assert not make_parts_dataset(root, one)
    assert root.stat().st_mtime_ns == stamp
    with pytest.raises(
            FileExistsError,
            match='num_train: 1 there, 2 asked for.*--overwrite'):
        make_parts_dataset(root, two)
    assert read_tree(root) == before
    assert make_parts_dataset(root, two, overwrite=True)
    assert len(names_of(root, 'train')) == 2
    assert os.listdir(tmp_path) == ['parts']


def test_dataset_that_lacks_a_file_is_reported(tmp_path):
    one = PartsSettings(1, 1, (48, 48), 0)
    make_parts_dataset(tmp_path / 'parts', one)
    (tmp_path / 'parts' / 'Annotations' / 'val_00000.xml').unlink()
    with pytest.raises(FileExistsError, match='val_00000.xml.*--overwrite'):
        make_parts_dataset(tmp_path / 'parts', one)
    assert make_parts_dataset(tmp_path / 'parts', one, overwrite=True)
    assert not make_parts_dataset(tmp_path / 'parts', one)


def test_old_dataset_comes_back_when_the_last_step_fails(
        tmp_path, monkeypatch):
    root = tmp_path / 'parts'
    make_parts_dataset(root, PartsSettings(1, 1, (48, 48), 0))
    before = read_tree(tmp_path)
    rename = os.rename

    def refuse_new(src, dst):
        if Path(src).name == 'new':
            raise OSError(28, 'No space left on device')
        rename(src, dst)

    monkeypatch.setattr(generator.os, 'rename', refuse_new)
    with pytest.raises(OSError, match='No space left'):
        make_parts_dataset(
            root, PartsSettings(2, 1, (48, 48), 0), overwrite=True)
    assert read_tree(tmp_path) == before


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'parts').symlink_to(tmp_path / 'disk')
    make_parts_dataset(tmp_path / 'parts', PartsSettings(1, 1, (48, 48), 0))
    assert (tmp_path / 'parts').is_symlink()
    assert (tmp_path / 'disk' / SETTINGS_FILE).is_file()


def test_foreign_folders_are_never_replaced(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(FileExistsError, match='choose another folder'):
        make_parts_dataset(tmp_path, SMALL, overwrite=True)
    with pytest.raises(NotADirectoryError, match='is a file'):
        make_parts_dataset(tmp_path / 'thesis.txt', SMALL, overwrite=True)
    assert os.listdir(tmp_path) == ['thesis.txt']


@pytest.mark.parametrize('is_there', [False, True])
def test_interrupted_run_leaves_nothing_half(tmp_path, monkeypatch, is_there):
    root = tmp_path / 'parts'
    if is_there:
        make_parts_dataset(root, PartsSettings(1, 1, (48, 48), 0))
    before = read_tree(tmp_path)

    def stop(tasks):
        yield tasks[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_parts_dataset(root, SMALL, overwrite=True, track=stop)
    assert read_tree(tmp_path) == before
    assert os.listdir(tmp_path) == (['parts'] if is_there else [])


def test_unwritable_folder_is_named(tmp_path, monkeypatch):

    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(generator.tempfile, 'mkdtemp', refuse)
    with pytest.raises(PermissionError, match='parts.*you may write to'):
        make_parts_dataset(tmp_path / 'parts', SMALL)


# --- the dataset class ----------------------------------------------------


def test_dataset_loads_what_was_written(parts_root):
    register_all_modules()
    dataset = DATASETS.build({
        'type':
        'PartsDataset',
        'data_root':
        str(parts_root),
        'ann_file':
        'ImageSets/Segmentation/val.txt',
        'pipeline': [{
            'type': 'LoadImageFromFile'
        }, {
            'type': 'LoadAnnotations'
        }, {
            'type': 'PackSegInputs'
        }]
    })
    assert isinstance(dataset, PartsDataset)
    assert len(dataset) == 5
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.metainfo['classes'][0] == 'background'
    assert dataset.metainfo['palette'] == PALETTE
    sample = dataset[2]
    drawn = draw_parts_sample(3, 'val', 2, size=(64, 80))
    assert sample['inputs'].shape == (3, 64, 80)
    np.testing.assert_array_equal(
        sample['data_samples'].gt_sem_seg.data[0].numpy(), drawn.mask)


def test_dataset_takes_other_folders_for_masks(parts_root):
    dataset = PartsDataset(
        'ImageSets/Segmentation/val.txt',
        data_root=str(parts_root),
        data_prefix={
            'img_path': 'JPEGImages',
            'seg_map_path': 'Annotations'
        },
        seg_map_suffix='.xml')
    assert dataset[0]['seg_map_path'].endswith('Annotations/val_00000.xml')


@pytest.mark.parametrize('kwargs, message', [
    ({
        'ann_file': 'missing.txt'
    }, '`ann_file`.*missing.txt.*make_parts'),
    ({
        'data_prefix': {
            'img_path': 'photos'
        }
    }, '`img_path`.*photos'),
])
def test_dataset_names_what_is_missing(parts_root, kwargs, message):
    kwargs = {'ann_file': 'ImageSets/Segmentation/val.txt', **kwargs}
    with pytest.raises(FileNotFoundError, match=message):
        PartsDataset(data_root=str(parts_root), **kwargs)


# --- the tool -------------------------------------------------------------


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Run the tool in this process: returns exit status, stdout, stderr."""

    def run(*args):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOL), run_name='__main__')
        return stop.value.code, *capsys.readouterr()

    return run


SMALL_ARGS = ('--num-train', 10, '--num-val', 5, '--size', 64, 80, '--seed')


def test_tool_in_a_process_of_its_own(parts_root, tmp_path):
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(
        [str(ROOT), *filter(None, [env.get('PYTHONPATH')])])
    done = subprocess.run(
        [sys.executable,
         str(TOOL), 'made', *map(str, SMALL_ARGS), '3'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        timeout=300)
    assert done.returncode == 0, done.stderr
    assert '10 training and 5 validation images written' in done.stdout
    assert '\r' not in done.stdout  # no progress bar without a terminal
    assert read_tree(tmp_path / 'made') == read_tree(parts_root)


def test_tool_skips_refuses_and_replaces(run_tool, parts_root, tmp_path):
    root = tmp_path / 'parts'
    shutil.copytree(parts_root, root)
    status, out, _ = run_tool(root, *SMALL_ARGS, 3)
    assert status == 0
    assert 'nothing to do' in out

    status, _, err = run_tool(root, *SMALL_ARGS, 4)
    assert status == 1
    assert 'seed: 3 there, 4 asked for' in err
    assert '--overwrite' in err
    assert read_tree(root) == read_tree(parts_root)

    status, out, _ = run_tool(root, *SMALL_ARGS, 4, '--overwrite')
    assert status == 0
    assert 'images written' in out
    assert read_tree(root) != read_tree(parts_root)


def test_tool_shows_progress_on_a_terminal_only(run_tool, tmp_path,
                                                monkeypatch):
    args = ('--num-train', 2, '--num-val', 1, '--size', 48, 48)
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    status, out, _ = run_tool(tmp_path / 'one', *args)
    assert status == 0
    assert '3/3' in out
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: False, raising=False)
    assert '3/3' not in run_tool(tmp_path / 'two', *args)[1]


def test_tool_reports_errors_in_one_line(run_tool, tmp_path):
    (tmp_path / 'file').write_text('')
    for args, message in (((tmp_path / 'file' / 'parts', ), 'may write to'),
                          ((tmp_path / 'parts', '--num-val', 0),
                           '`num_val` must be at least 1')):
        status, _, err = run_tool(*args)
        assert status == 1
        assert err.startswith('error: ')
        assert message in err
        assert err.count('\n') == 1
