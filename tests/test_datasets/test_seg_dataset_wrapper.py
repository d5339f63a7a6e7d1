# ruff: noqa: C408 (configs are written as dict(...))
import json
import logging
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset, pseudo_collate
from mmengine.registry import DefaultScope, init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg.utils import register_all_modules
from PIL import Image
from torch.utils.data import DataLoader

from mmlpcam.datasets import (ImageLabelDataset, ImageLabelSource,
                              PseudoLabelDataset, SegDatasetWrapper,
                              check_images)

META = dict(
    classes=('background', 'cat', 'dog'),
    palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
LABELS = {'a': ['dog'], 'b': [], 'sub/c': ['dog', 'cat']}
SIZES = {'a': (6, 4), 'b': (5, 3), 'sub/c': (3, 7)}  # (W, H)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs', meta_keys=('ori_shape', ))
]


@pytest.fixture(autouse=True)
def scope():
    """Build MMEngine's wrappers as MMSeg's configs do."""
    register_all_modules(init_default_scope=False)
    before = dict(DefaultScope._instance_dict)
    init_default_scope('mmseg')
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@TRANSFORMS.register_module()
class GiveUp:
    """Return None for the images whose path ends with one of these."""

    def __init__(self, ends):
        self.ends = tuple(ends)

    def __call__(self, results):
        return None if results['img_path'].endswith(self.ends) else results


@pytest.fixture
def data(tmp_path):
    """Three images; ground truth all 1, pseudo labels all 2."""
    for value, (image_id, (w, h)) in enumerate(SIZES.items()):
        for folder, suffix, content in [
            ('img', '.jpg', np.full((h, w, 3), 50 * value, np.uint8)),
            ('gt', '.png', np.full((h, w), 1, np.uint8)),
            ('pseudo', '.png', np.full((h, w), 2, np.uint8))
        ]:
            path = tmp_path / folder / (image_id + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path)
    (tmp_path / 'labels.json').write_text(json.dumps(LABELS))
    return tmp_path


def inner(data, **kwargs):
    return {
        **dict(
            type='BaseSegDataset',
            data_root=str(data),
            data_prefix=dict(img_path='img', seg_map_path='gt'),
            metainfo=META,
            pipeline=PIPELINE),
        **kwargs
    }


def source(data):
    return dict(type='JSONLabels', json_file=str(data / 'labels.json'))


def labeled(data, dataset=None, **kwargs):
    return ImageLabelDataset(
        inner(data) if dataset is None else dataset, source(data), **kwargs)


def pseudo(data, dataset=None, **kwargs):
    return PseudoLabelDataset(
        inner(data) if dataset is None else dataset, str(data / 'pseudo'),
        **kwargs)


def seg(sample):
    return sample['data_samples'].gt_sem_seg.data.numpy()


# --- ImageLabelDataset ----------------------------------------------------


def test_labels_reach_data_samples(data):
    dataset = DATASETS.build(
        dict(
            type='ImageLabelDataset', dataset=inner(data),
            labels=source(data)))
    assert len(dataset) == 3
    assert dataset.image_ids == ['a', 'b', 'sub/c']
    expected = [(1, ), (), (0, 1)]
    for idx, labels in enumerate(expected):
        meta = dataset[idx]['data_samples'].metainfo
        assert meta['img_labels'] == labels
        assert meta['sample_idx'] == idx
        assert meta['image_id'] == dataset.image_ids[idx]
        info = dataset.get_data_info(idx)
        assert info['img_labels'] == labels
        assert info['sample_idx'] == idx
        assert dataset.get_cat_ids(idx) == list(labels)
    np.testing.assert_array_equal(dataset.label_counts, [1, 2])
    assert dataset.label_counts.dtype == np.int64
    assert dataset[-1]['data_samples'].sample_idx == 2
    with pytest.raises(IndexError, match='index 3 is out of range for 3'):
        dataset[3]
    assert len(list(dataset)) == 3  # IndexError ends the iteration


def test_metainfo_goes_through_as_a_copy(data):
    dataset = labeled(data)
    assert dataset.metainfo == dataset.dataset.metainfo
    dataset.metainfo['classes'] = ()
    assert dataset.metainfo['classes'] == META['classes']


def test_lazy_init(data):
    dataset = labeled(data, inner(data, lazy_init=True), lazy_init=True)
    assert not dataset._fully_initialized
    assert not dataset.dataset._fully_initialized
    assert dataset.metainfo['classes'] == META['classes']
    assert len(dataset) == 3 and dataset._fully_initialized
    np.testing.assert_array_equal(
        labeled(data, lazy_init=True).label_counts, [1, 2])


def test_pipeline_without_pack(data):
    dataset = labeled(data,
                      inner(data, pipeline=[dict(type='LoadImageFromFile')]))
    assert dataset[2]['img_labels'] == (0, 1)


def test_test_time_augmentation(data):
    tta = dict(
        type='TestTimeAug',
        transforms=[[
            dict(type='RandomFlip', prob=0.),
            dict(type='RandomFlip', prob=1.)
        ], [dict(type='PackSegInputs')]])
    dataset = labeled(
        data, inner(data, pipeline=[dict(type='LoadImageFromFile'), tta]))
    samples = dataset[2]['data_samples']
    assert [item.img_labels for item in samples] == [(0, 1), (0, 1)]


@pytest.mark.parametrize('name', ['background', 'BG', '_background_'])
def test_background_names(data, name):
    meta = dict(classes=(name, 'cat', 'dog'))
    labeled(data, inner(data, metainfo=meta))


def test_class_0_must_be_background(data):
    for classes, got in [(('cat', 'dog'), "'cat'"), ((), 'no classes')]:
        with pytest.raises(
                ValueError, match=f'must be the background.*got {got}'):
            labeled(data, inner(data, metainfo=dict(classes=classes)))


def test_absent_class_is_reported_once(data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        'mmlpcam.datasets.image_label_dataset.print_log',
        lambda text, logger, level: seen.append((text, logger, level)))
    (data / 'labels.json').write_text('{"a": ["dog"], "b": [], "sub/c": []}')
    dataset = labeled(data)
    dataset.full_init()
    assert len(seen) == 1
    assert "1 of 2 classes have no image: 'cat'." in seen[0][0]
    assert seen[0][1:] == ('current', logging.WARNING)


def test_wrong_source(data):
    with pytest.raises(TypeError, match='labels must be the config.*got str'):
        ImageLabelDataset(inner(data), 'labels.json')


class Own(ImageLabelSource):
    """A source that returns what it is told to, and keeps what it got."""

    def __init__(self, labels):
        self.labels = labels

    def load(self, images, classes):
        self.got = (images, classes)
        return self.labels


def test_source_gets_the_paths(data):
    source = Own({'a': (0, ), 'b': (0, 1), 'sub/c': (1, )})
    dataset = ImageLabelDataset(inner(data), source)
    images = {i: str(data / 'img' / f'{i}.jpg') for i in dataset.image_ids}
    assert source.got == (images, ('cat', 'dog'))
    assert all(Path(path).is_file() for path in images.values())


@pytest.mark.parametrize('labels', [
    dict(a=(0, )),
    dict(a=(0, ), b=(2, )),
    dict(a=(0, ), b=(-1, )),
    dict(a=(0, ), b=(1, 0)),
    dict(a=(0, ), b=(1, 1)),
    dict(a=(0, ), b=(0.5, )),
    dict(a=(0, ), b=('cat', )),
    dict(a=(0, ), b=[0]),
])
def test_broken_source(data, labels):
    found = re.escape(repr(labels.get('b')))
    with pytest.raises(
            ValueError,
            match=rf"Own.load returned {found} for image 'b'; .*\[0, 2\)"):
        ImageLabelDataset(inner(data), Own(labels))


def test_source_without_return(data):
    with pytest.raises(TypeError, match='Own.load must return a dict .*None'):
        ImageLabelDataset(inner(data), Own(None))


# --- the base class -------------------------------------------------------


def test_empty_dataset_says_where_it_looked(data):
    (data / 'empty.txt').write_text('')
    match = r"has no image\. It looked in ann_file='.*empty.txt'"
    cfg = inner(data, ann_file='empty.txt')
    repeat = dict(type='RepeatDataset', dataset=cfg, times=2)
    for bad in (cfg, {
            **cfg, 'serialize_data': False
    }, {
            **cfg, 'lazy_init': True
    }, repeat):
        with pytest.raises(ValueError, match=match):
            labeled(data, bad)
    with pytest.raises(ValueError, match="img_suffix='.jpeg'"):
        labeled(data, inner(data, img_suffix='.jpeg'))


def test_concat_and_repeat_inside(data):
    parts = []
    for names in ('b', 'a\nsub/c'):
        (data / f'{names[0]}.txt').write_text(names)
        parts.append(inner(data, ann_file=f'{names[0]}.txt'))
    concat = dict(type='ConcatDataset', datasets=parts)
    repeat = dict(type='RepeatDataset', dataset=concat, times=2)
    dataset = labeled(data, repeat)
    assert isinstance(dataset.dataset, RepeatDataset)
    assert isinstance(dataset.dataset.dataset, ConcatDataset)
    assert dataset.image_ids == ['b', 'a', 'sub/c'] * 2
    got = [item['data_samples'] for item in dataset]
    assert [d.img_labels for d in got] == [(), (1, ), (0, 1)] * 2
    assert [d.sample_idx for d in got] == list(range(6))
    assert [d.ori_shape for d in got] == [(3, 5), (4, 6), (7, 3)] * 2
    # images, not samples
    np.testing.assert_array_equal(dataset.label_counts, [1, 2])


def test_each_leaf_runs_its_own_pipeline(data):
    (data / 'a.txt').write_text('a')
    (data / 'b.txt').write_text('b')
    dataset = labeled(
        data,
        ConcatDataset([
            BaseSegDataset(
                data_root=str(data),
                data_prefix=dict(img_path='img', seg_map_path='gt'),
                metainfo=META,
                ann_file=f'{name}.txt',
                pipeline=PIPELINE[:1] +
                [dict(type='Resize', scale=(size, size), keep_ratio=False)])
            for name, size in [('a', 8), ('b', 9)]
        ]))
    assert [item['img'].shape[:2] for item in dataset] == [(8, 8), (9, 9)]


def test_wrapper_inside_mmengine_wrappers(data):
    cfg = dict(
        type='ImageLabelDataset', dataset=inner(data), labels=source(data))
    repeat = DATASETS.build(dict(type='RepeatDataset', dataset=cfg, times=2))
    assert repeat[4]['data_samples'].img_labels == ()
    # cat is in 1 of 3 images: repeat factor ceil(sqrt(1 / (1/3))) = 2;
    # dog in 2 of 3: ceil(sqrt(3/2)) = 2
    balanced = DATASETS.build(
        dict(type='ClassBalancedDataset', dataset=cfg, oversample_thr=1.))
    assert balanced.repeat_indices == [0, 0, 1, 2, 2]
    outer = pseudo(data, balanced.__class__(oversample_thr=1., dataset=cfg))
    assert outer.image_ids == ['a', 'a', 'b', 'sub/c', 'sub/c']
    sample = outer[3]['data_samples']
    assert (sample.img_labels, sample.sample_idx) == ((0, 1), 3)
    assert (seg(outer[3]) == 2).all()


@pytest.mark.parametrize('labels_outside', [True, False])
def test_nested_wrappers(data, labels_outside):
    dataset = (
        labeled(data, pseudo(data)) if labels_outside else pseudo(
            data, labeled(data)))
    for idx, labels in enumerate([(1, ), (), (0, 1)]):
        sample = dataset[idx]
        assert sample['data_samples'].img_labels == labels
        assert sample['data_samples'].sample_idx == idx
        assert (seg(sample) == 2).all()
        info = dataset.get_data_info(idx)
        assert info['seg_map_path'].endswith(f'{dataset.image_ids[idx]}.png')
        assert '/pseudo/' in info['seg_map_path']


def test_image_id_without_prefix(data):

    class Listed(BaseSegDataset):

        def load_data_list(self):
            return [
                dict(
                    img_path=str(data / 'img' / name),
                    label_map=None,
                    reduce_zero_label=False,
                    seg_fields=[]) for name in ('sub/c.jpg', 'a.jpg')
            ]

    plain = Listed(metainfo=META, pipeline=[])
    assert SegDatasetWrapper(plain).image_ids == ['c', 'a']
    # a prefix that does not hold the images
    other = Listed(
        metainfo=META,
        pipeline=[],
        data_prefix=dict(img_path=str(data / 'gt')))
    with pytest.raises(ValueError, match='c.jpg.* lies outside of'):
        SegDatasetWrapper(other)


def test_duplicate_ids(data):
    (data / 'twice.txt').write_text('a\nb\na')
    with pytest.raises(ValueError, match=r"share the id 'a': '.*img/a\.jpg' "):
        labeled(data, inner(data, ann_file='twice.txt'))
    concat = dict(type='ConcatDataset', datasets=[inner(data)] * 2)
    with pytest.raises(ValueError, match="share the id 'a'.*RepeatDataset"):
        labeled(data, concat)


def test_refusals(data):
    dataset = labeled(data)
    for method in (dataset.get_subset, dataset.get_subset_):
        with pytest.raises(
                NotImplementedError,
                match='ImageLabelDataset does not support get_subset'):
            method([0])
    with pytest.raises(TypeError, match='expected an MMSeg dataset.*got list'):
        SegDatasetWrapper([1, 2])


def test_refetch(data):
    np.random.seed(0)  # noqa: NPY002
    cut = [dict(type='GiveUp', ends=['a.jpg', 'b.jpg'])]
    dataset = labeled(data, inner(data, pipeline=cut + PIPELINE))
    for idx in range(3):  # labels follow the sample that was taken
        sample = dataset[idx]['data_samples']
        assert (sample.sample_idx, sample.img_labels) == (2, (0, 1))
    none = [dict(type='GiveUp', ends=['.jpg'])] + PIPELINE
    dataset = labeled(data, inner(data, pipeline=none, max_refetch=2))
    with pytest.raises(RuntimeError, match='None for .*max_refetch=2 is used'):
        dataset[0]
    dataset = labeled(data, inner(data, pipeline=none, test_mode=True))
    with pytest.raises(
            RuntimeError,
            match=r'None for sample 1 \(image .*b\.jpg\), which a test'):
        dataset[1]


def test_loading_error_names_the_sample(data):
    dataset = labeled(data)
    (data / 'gt' / 'b.png').unlink()
    with pytest.raises(
            RuntimeError,
            match=r'sample 1 cannot be loaded \(image .*img/b\.jpg, '
            r'mask .*gt/b\.png\): FileNotFoundError') as error:
        dataset[1]
    assert isinstance(error.value.__cause__, FileNotFoundError)


def test_pickle_and_workers(data):
    dataset = labeled(data, pseudo(data))
    again = pickle.loads(pickle.dumps(dataset))
    assert again[2]['data_samples'].img_labels == (0, 1)
    loader = DataLoader(
        dataset, batch_size=2, num_workers=2, collate_fn=pseudo_collate)
    got = [d for batch in loader for d in batch['data_samples']]
    assert [d.img_labels for d in got] == [(1, ), (), (0, 1)]
    assert [d.sample_idx for d in got] == [0, 1, 2]


# --- check_images ---------------------------------------------------------


def test_check_images_sizes(data):
    paths = [str(data / 'img' / f'{i}.jpg') for i in SIZES]
    assert check_images(paths) == list(SIZES.values())
    assert check_images([]) == []
    # an EXIF orientation turns the image when it is loaded
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (6, 4)).save(data / 'turned.jpg', exif=exif)
    assert check_images([str(data / 'turned.jpg')]) == [(4, 6)]


def test_check_images_errors(data):
    paths = [str(data / f'{i}.jpg') for i in range(7)]
    with pytest.raises(
            FileNotFoundError,
            match=r"7 of 7 image files do not exist: '.*/0\.jpg'.*4\.jpg' and "
            '2 more'):
        check_images(paths)
    (data / 'text.jpg').write_text('no image')
    with pytest.raises(
            ValueError, match=r'1 of 2 .*text\.jpg is no .*\(cannot ide'):
        check_images([str(data / 'text.jpg'), str(data / 'img' / 'a.jpg')])


def test_missing_images_are_found_early(data):
    (data / 'list.txt').write_text('a\nnope')
    cfg = inner(data, ann_file='list.txt')
    (data / 'labels.json').write_text('{"a": ["cat"], "nope": ["dog"]}')
    with pytest.raises(FileNotFoundError, match='1 of 2 .*nope.jpg'):
        labeled(data, cfg)
    assert len(labeled(data, cfg, check_files=False)) == 2


# --- PseudoLabelDataset ---------------------------------------------------


def test_pseudo_labels_replace_the_masks(data):
    dataset = DATASETS.build(
        dict(
            type='PseudoLabelDataset',
            dataset=inner(data),
            label_dir=str(data / 'pseudo')))
    assert [seg(item).shape for item in dataset] == [(1, 4, 6), (1, 3, 5),
                                                     (1, 7, 3)]
    assert all((seg(item) == 2).all() for item in dataset)


def test_pseudo_labels_ignore_the_label_map(data):

    class Relabeled(BaseSegDataset):
        METAINFO = dict(classes=('background', 'dog', 'cat'))

    dataset = Relabeled(
        data_root=str(data),
        data_prefix=dict(img_path='img', seg_map_path='gt'),
        metainfo=META,
        pipeline=PIPELINE)
    assert (seg(dataset[0]) == 2).all()  # 1 -> 2
    assert dataset.get_data_info(0)['label_map'] == {0: 0, 1: 2, 2: 1}
    assert (seg(pseudo(data, dataset)[0]) == 2).all()  # as it is


def test_pseudo_suffix(data):
    for image_id in SIZES:
        path = data / 'pseudo' / f'{image_id}.png'
        path.rename(path.with_name(f'{path.stem}_x.png'))
    assert (seg(pseudo(data, suffix='_x.png')[2]) == 2).all()


def test_missing_masks(data):
    (data / 'pseudo' / 'b.png').unlink()
    with pytest.raises(
            FileNotFoundError,
            match=r"1 of 3 images have no mask <image id>\.png in label_dir "
            r"'.*pseudo': 'b'.*missing='ignore'"):
        pseudo(data)
    # unchecked, it is found when the sample is loaded
    with pytest.raises(RuntimeError, match=r'sample 1 .*pseudo/b\.png'):
        pseudo(data, check_files=False)[1]


def test_missing_masks_are_ignored_on_demand(data, monkeypatch):
    seen = []
    monkeypatch.setattr('mmlpcam.datasets.pseudo_label_dataset.print_log',
                        lambda text, logger, level: seen.append(text))
    mask = data / 'pseudo' / 'b.png'
    content = mask.read_bytes()
    mask.unlink()
    pipeline = PIPELINE[:1] + [dict(type='LoadPseudoLabel')] + PIPELINE[2:]
    dataset = pseudo(data, inner(data, pipeline=pipeline), missing='ignore')
    assert len(seen) == 1 and "1 of 3 images have no mask" in seen[0]
    assert dataset.get_data_info(1)['seg_map_path'] is None
    np.testing.assert_array_equal(seg(dataset[1]), np.full((1, 3, 5), 255))
    assert (seg(dataset[0]) == 2).all()
    mask.write_bytes(content)  # masks may come while training runs
    assert (seg(dataset[1]) == 2).all()


def test_ignore_needs_the_loader(data):
    with pytest.raises(ValueError, match="needs dict.type='LoadPseudoLabel'"):
        pseudo(data, missing='ignore')
    nested = PIPELINE[:1] + [
        dict(type='RandomApply', transforms=[dict(type='LoadPseudoLabel')])
    ]
    pseudo(data, inner(data, pipeline=nested), missing='ignore')


def test_pseudo_masks_are_checked(data):
    Image.new('L', (6, 5)).save(data / 'pseudo' / 'a.png')
    with pytest.raises(
            ValueError,
            match=r'1 of 3 masks differ.*pseudo/a\.png is \(6, 5\), '
            r'.*img/a\.jpg is \(6, 4\)'):
        pseudo(data)
    Image.new('RGB', (6, 4)).save(data / 'pseudo' / 'a.png')
    with pytest.raises(
            ValueError, match=r'pseudo/a\.png .*\(expected one cha'):
        pseudo(data)
    (data / 'pseudo' / 'a.png').write_text('x')
    with pytest.raises(ValueError, match=r'pseudo/a\.png .*\(cannot identify'):
        pseudo(data)


@pytest.fixture
def true(data):
    """A true mask, all 1, of one image in a folder; none of the others."""
    folder = data / 'true'
    (folder / 'sub').mkdir(parents=True)
    mask = Image.open(data / 'gt/sub/c.png')
    mask.save(folder / 'sub/c.png')
    return folder


def test_true_masks_come_first(data, true):
    dataset = pseudo(data, true_label_dir=str(true))
    assert [np.unique(seg(item)).tolist() for item in dataset] == [[2], [2],
                                                                   [1]]
    assert dataset.get_data_info(2)['seg_map_path'] == str(true / 'sub/c.png')
    assert dataset.get_data_info(2)['label_map'] is None
    (data / 'pseudo/sub/c.png').unlink()  # not needed
    dataset = pseudo(data, true_label_dir=str(true))
    assert (seg(dataset[2]) == 1).all()


def test_true_masks_do_not_stand_in_for_the_others(data, true):
    (data / 'pseudo/b.png').unlink()
    with pytest.raises(FileNotFoundError, match="1 of 3 .*label_dir.*: 'b'"):
        pseudo(data, true_label_dir=str(true))


def test_true_masks_and_missing_ones(data, true):
    for image_id in ('b', 'sub/c'):
        (data / 'pseudo' / f'{image_id}.png').unlink()
    pipeline = PIPELINE[:1] + [dict(type='LoadPseudoLabel')] + PIPELINE[2:]
    dataset = pseudo(
        data,
        inner(data, pipeline=pipeline),
        missing='ignore',
        true_label_dir=str(true))
    assert [np.unique(seg(item)).tolist() for item in dataset] == [[2], [255],
                                                                   [1]]


def test_true_masks_are_checked(data, true):
    Image.new('L', (3, 8)).save(true / 'sub/c.png')
    with pytest.raises(
            ValueError,
            match=r'1 of 1 masks differ.*true/sub/c\.png is \(3, 8\), .*'
            r'img/sub/c\.jpg is \(3, 7\)'):
        pseudo(data, true_label_dir=str(true))
    (true / 'sub/c.png').rename(true / 'c.png')
    with pytest.raises(
            FileNotFoundError,
            match='none of 3 images has a mask .*true_label_dir .*true'):
        pseudo(data, true_label_dir=str(true))
    # a stage that nobody has resolved
    with pytest.raises(ValueError, match="true_label_dir='stage://x' names a"):
        pseudo(data, true_label_dir='stage://x')


def test_pseudo_arguments(data):
    with pytest.raises(ValueError, match="got 'skip'"):
        pseudo(data, missing='skip')
    with pytest.raises(ValueError, match='BaseSegDataset has reduce_zero_lab'):
        pseudo(data, inner(data, reduce_zero_label=True))
    with pytest.raises(
            ValueError,
            match="'stage://labels/masks' names a stage.*StagedRunner"):
        PseudoLabelDataset(inner(data), 'stage://labels/masks')


def test_check_files_leaves_alone_what_it_cannot_judge(tmp_path):
    from torch.utils.data import TensorDataset

    from mmlpcam.datasets import check_files
    check_files(TensorDataset())

    class Wrapper:
        check_files = False

    check_files(Wrapper())


def test_list_that_is_missing(tmp_path):
    with pytest.raises(ValueError, match='nowhere.txt. Check `data_root`'):
        SegDatasetWrapper(
            dict(
                type='BaseSegDataset',
                data_root=str(tmp_path),
                ann_file='nowhere.txt',
                metainfo=META,
                pipeline=[]))
