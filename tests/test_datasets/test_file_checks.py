# ruff: noqa: C408 (configs are written as dict(...))
"""Masks are looked at before they are needed, in all places alike."""
import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

import mmlpcam.datasets.file_checks as file_checks
from mmlpcam.datasets import MaskLabels, check_files, check_masks
from mmlpcam.engine.preflight.common import LATER
from mmlpcam.engine.preflight.data import build_split

CLASSES = ('background', 'cat', 'dog')


@pytest.fixture
def data(tmp_path, mmseg_scope):
    """Three photos whose masks hold 0, 1 and 2, and 255."""
    for folder in ('photos', 'masks'):
        (tmp_path / folder).mkdir()
    for index in range(3):
        Image.new('RGB', (6, 4)).save(tmp_path / f'photos/{index}.jpg')
        write(tmp_path / f'masks/{index}.png', [0, index, 255])
    return tmp_path


def write(path, values, dtype=np.uint8):
    mask = np.resize(np.array(values, dtype), (4, 6))
    Image.fromarray(mask).save(path)


def leaf(data, **kwargs):
    return dict(
        type='PhotoFolderDataset',
        data_prefix=dict(
            img_path=str(data / 'photos'), seg_map_path=str(data / 'masks')),
        metainfo=dict(classes=CLASSES),
        pipeline=[
            dict(type='LoadPhoto'),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')
        ],
        **kwargs)


def by_leaf(data):
    check_files(DATASETS.build(leaf(data)))


def by_wrapper(data):
    (data / 'tags.csv').write_text('0.jpg,cat\n1.jpg,cat\n2.jpg,dog\n')
    check_files(
        DATASETS.build(
            dict(
                type='ImageLabelDataset',
                labels=dict(type='CSVLabels', csv_file=str(data / 'tags.csv')),
                dataset=leaf(data))))


def by_pseudo_labels(data, **kwargs):
    DATASETS.build(
        dict(
            type='PseudoLabelDataset',
            label_dir=str(data / 'masks'),
            dataset=leaf(data)) | kwargs)


def by_true_masks(data):
    dataset = leaf(data)
    dataset['pipeline'][1] = dict(type='LoadPseudoLabel')
    by_pseudo_labels(
        data,
        label_dir=None,
        true_label_dir=str(data / 'masks'),
        dataset=dataset)


def by_labels(data):
    MaskLabels(str(data / 'masks')).load(dict.fromkeys('012', ''), CLASSES[1:])


WAYS = [by_leaf, by_wrapper, by_pseudo_labels, by_true_masks, by_labels]


@pytest.mark.parametrize('check', WAYS)
def test_right_masks_pass(data, check):
    check(data)
    write(data / 'masks/1.png', [0, 2, 255], np.uint16)
    check(data)
    Image.fromarray(np.eye(4, 6) > 0).save(data / 'masks/2.png')
    check(data)


@pytest.mark.parametrize('check', WAYS)
def test_values_that_are_no_class(data, check):
    write(data / 'masks/1.png', [0, 3, 77])
    with pytest.raises(
            ValueError,
            match=r'1 of 3 masks .*masks/1\.png has 3, 77.*0 \(background\) '
            r'to 2, or 255'):
        check(data)
    write(data / 'masks/1.png', [0, 256], np.uint16)
    with pytest.raises(ValueError, match=r'masks/1\.png is no .*0 to 256'):
        check(data)


@pytest.mark.parametrize('check', WAYS)
def test_black_and_white(data, check):
    for index in range(3):
        write(data / f'masks/{index}.png', [0, 255 * (index > 0)])
    with pytest.raises(
            ValueError, match=r'2 of 3 masks .*1\.png.* 255 for the object'):
        check(data)


@pytest.mark.parametrize('check', WAYS)
def test_cut_masks(data, check):
    path = data / 'masks/2.png'
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r'2\.png is no valid index mask'):
        check(data)


@pytest.mark.parametrize('check', WAYS[:-1])
def test_sizes(data, check):
    Image.new('L', (6, 5)).save(data / 'masks/2.png')
    with pytest.raises(ValueError, match=r'masks/2\.png is \(6, 5\), '):
        check(data)


def test_labels_without_a_class_may_be_made(data, monkeypatch):
    """A poor model makes such masks; its folder has a manifest."""
    for index in range(3):
        write(data / f'masks/{index}.png', [0, 255])
    (data / 'manifest.json').write_text('{}')
    seen = []
    monkeypatch.setattr(file_checks, 'print_log',
                        lambda text, logger, level: seen.append(text))
    by_pseudo_labels(data)
    assert len(seen) == 1 and '255' in seen[0]
    with pytest.raises(ValueError, match='255'):
        by_true_masks(data)


def test_zero_label_is_not_reduced_below_a_wrapper(data):
    wrapper = dict(
        type='SegDatasetWrapper', dataset=leaf(data, reduce_zero_label=True))
    with pytest.raises(ValueError, match='reduce_zero_label=True'):
        DATASETS.build(wrapper)
    # without one, there is a value more
    write(data / 'masks/1.png', [0, 1, 2, 3])
    check_files(DATASETS.build(leaf(data, reduce_zero_label=True)))
    write(data / 'masks/1.png', [0, 4])
    with pytest.raises(ValueError, match=r'1\.png has 4'):
        check_files(DATASETS.build(leaf(data, reduce_zero_label=True)))


@pytest.mark.parametrize('wrap', [False, True])
def test_too_many_classes(data, wrap):

    def check(num_classes):
        dataset = leaf(data) | dict(
            metainfo=dict(classes=[str(i) for i in range(num_classes)]))
        if wrap:
            dataset = dict(type='SegDatasetWrapper', dataset=dataset)
        check_files(DATASETS.build(dataset))

    check(255)
    with pytest.raises(ValueError, match='256 classes are too many'):
        check(256)


def test_many_bad_masks_are_counted(data):
    masks = [str(data / f'masks/{i}.png') for i in range(3)]
    for mask in masks[:2]:
        write(mask, [9])
    with pytest.raises(ValueError, match='2 of 3 masks hold'):
        check_masks([str(data / f'photos/{i}.jpg') for i in range(3)], masks,
                    3)


def concat(*datasets):
    return dict(type='ConcatDataset', datasets=list(datasets))


def test_what_lies_beside_other_masks_is_checked(data):
    """Each of the joined datasets, whatever the others are."""
    other = dict(
        type='PseudoLabelDataset',
        label_dir=str(data / 'other'),
        dataset=leaf(data))
    (data / 'other').mkdir()
    for index in range(3):
        write(data / f'other/{index}.png', [0, 1])
    joined = concat(other, leaf(data))
    check_files(DATASETS.build(joined))
    write(data / 'masks/1.png', [0, 3])
    with pytest.raises(ValueError, match=r'masks/1\.png has 3'):
        check_files(DATASETS.build(joined))
    # alone, its masks take the place of these
    check_files(DATASETS.build(other))
    # and a wrapper may say that its files are left alone
    check_files(
        DATASETS.build(
            concat(
                other,
                dict(
                    type='SegDatasetWrapper',
                    dataset=leaf(data),
                    check_files=False))))


def test_labels_to_come_leave_no_other_mask_unchecked(data):
    """A stage that trains on true masks and on those of an earlier one."""
    cfg = Config(
        dict(
            train_dataloader=dict(
                batch_size=2,
                sampler=dict(type='DefaultSampler'),
                dataset=concat(
                    dict(
                        type='PseudoLabelDataset',
                        label_dir=f'{LATER}labels/masks',
                        dataset=leaf(data)), leaf(data)))))
    assert len(build_split(cfg, 'train').dataset) == 6
    write(data / 'masks/1.png', [0, 3])
    with pytest.raises(
            ValueError, match=r'train_dataloader: .*masks/1\.png has 3'):
        build_split(cfg, 'train')


@pytest.mark.parametrize('wrapper',
                         [None, 'SegDatasetWrapper', 'PseudoLabelDataset'])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [1, 3])
def test_photos_that_would_be_cut(data, wrapper, suffix, channels):

    def check(**load):
        dataset = leaf(data)
        dataset['pipeline'] = [
            dict(type='RandomApply', transforms=[load]),
            *dataset['pipeline'][1:]
        ]
        if wrapper:
            dataset = dict(type=wrapper, dataset=dataset)
        if wrapper == 'PseudoLabelDataset':
            dataset['label_dir'] = str(data / 'masks')
        check_files(DATASETS.build(dataset))

    (data / 'photos/1.jpg').unlink()
    path = str(data / 'photos/1') + suffix
    cv2.imwrite(path, np.zeros((4, 6, channels), np.uint8))
    check(type='LoadImageFromFile')
    cv2.imwrite(path, np.full((4, 6, channels), 4095, np.uint16))
    with pytest.raises(
            ValueError,
            match=rf"1 photos .*photos/1\{suffix}.*type='LoadPhoto"):
        check(type='LoadImageFromFile')
    check(type='LoadPhoto')
    check(type='LoadImageFromFile', color_type='unchanged')
