import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from mmlpcam.datasets import PhotoFolderDataset, check_files

META = dict(
    classes=('background', 'cat', 'dog'),
    palette=[[0, 0, 0], [255, 0, 0], [0, 0, 255]])
# in the order of the ids
PHOTOS = {
    'Big': '.BMP',
    'a': '.jpg',
    'a.b': '.JPG',
    'scan': '.tif',
    'trip/c': '.PNG',
    'trip/day 1/d': '.webp',
    'trip/day 1/é': '.jpeg',
}
MASKED = ('a', 'trip/c')
LOAD = [dict(type='LoadImageFromFile')]
PACK = [dict(type='PackSegInputs')]


@pytest.fixture
def data(tmp_path, mmseg_scope):
    """Photos of one colour each, of size (H, W) = (4 + index, 9)."""
    for index, (name, suffix) in enumerate(PHOTOS.items()):
        write(tmp_path / 'photos' / (name + suffix), (4 + index, 9, 3),
              20 * index)
        if name in MASKED:
            write(tmp_path / 'masks' / f'{name}.png', (4 + index, 9), 1)
    for name in ('notes.txt', 'Thumbs.db', '.a.png', '.cache/x.png'):
        path = tmp_path / 'photos' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('no photo')
    return tmp_path


def write(path, shape, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def cfg(data, masks=False, **kwargs):
    prefix = dict(img_path=str(data / 'photos'))
    if masks:
        prefix['seg_map_path'] = str(data / 'masks')
    return dict(
        type='PhotoFolderDataset', metainfo=META, data_prefix=prefix, **kwargs)


def build(*args, **kwargs):
    return DATASETS.build(cfg(*args, **kwargs))


def labeled(data, dataset):
    table = data / 'tags.csv'
    table.write_text('\n'.join(f'{name}{suffix},cat'
                               for name, suffix in PHOTOS.items()))
    return DATASETS.build(
        dict(
            type='ImageLabelDataset',
            labels=dict(type='CSVLabels', csv_file=str(table)),
            dataset=dataset))


def test_photos_of_all_formats_are_found_and_loaded(data):
    dataset = labeled(data, cfg(data, pipeline=LOAD + PACK))
    assert dataset.image_ids == list(PHOTOS)
    for index, (name, sample) in enumerate(zip(PHOTOS, dataset)):
        packed = sample['data_samples']
        assert packed.image_id == name
        assert packed.img_labels == (0, )
        assert sample['inputs'].shape == (3, 4 + index, 9)
        # within the losses of JPEG
        assert abs(sample['inputs'].float().mean() - 20 * index) < 3
        assert 'seg_map_path' not in dataset.get_data_info(index)


def test_data_root(data):
    dataset = PhotoFolderDataset(
        dict(img_path='photos', seg_map_path='masks'),
        data_root=str(data),
        only_masked=True)
    assert len(dataset) == 2


def test_list_of_ids_decides_the_order(data):
    (data / 'list.txt').write_text('trip/day 1/é\n\na.b\n', encoding='utf-8')
    dataset = labeled(data, cfg(data, ann_file=str(data / 'list.txt')))
    assert dataset.image_ids == ['trip/day 1/é', 'a.b']


def test_only_photos_with_a_mask(data):
    pipeline = [*LOAD, dict(type='LoadAnnotations'), *PACK]
    dataset = labeled(
        data, cfg(data, masks=True, only_masked=True, pipeline=pipeline))
    check_files(dataset)
    assert dataset.image_ids == list(MASKED)
    for sample in dataset:
        truth = sample['data_samples'].gt_sem_seg.data
        assert truth.shape == (1, *sample['inputs'].shape[1:])
        assert (truth == 1).all()
    # the list and the masks
    (data / 'list.txt').write_text('Big\ntrip/c\n')
    dataset = build(
        data, masks=True, only_masked=True, ann_file=str(data / 'list.txt'))
    assert [info['img_path']
            for info in dataset] == [str(data / 'photos/trip/c.PNG')]


def test_masks_of_a_list_without_gaps_need_no_filter(data):
    (data / 'list.txt').write_text('a\ntrip/c\n')
    dataset = build(data, masks=True, ann_file=str(data / 'list.txt'))
    assert [info['seg_map_path'] for info in dataset
            ] == [str(data / 'masks/a.png'),
                  str(data / 'masks/trip/c.png')]


def test_pseudo_labels_of_photos(data):
    for index, name in enumerate(PHOTOS):
        write(data / 'pseudo' / f'{name}.png', (4 + index, 9), 2)
    dataset = DATASETS.build(
        dict(
            type='PseudoLabelDataset',
            label_dir=str(data / 'pseudo'),
            true_label_dir=str(data / 'masks'),
            dataset=cfg(
                data, pipeline=[*LOAD,
                                dict(type='LoadAnnotations'), *PACK])))
    values = [
        int(sample['data_samples'].gt_sem_seg.data.unique())
        for sample in dataset
    ]
    assert values == [1 if name in MASKED else 2 for name in PHOTOS]


def test_folder_without_photos(data):
    (data / 'empty').mkdir()
    (data / 'empty' / 'clip.mp4').write_text('')
    with pytest.raises(ValueError, match=r"no photo in '.*empty'.*\.jpg"):
        PhotoFolderDataset(dict(img_path=str(data / 'empty')))
    with pytest.raises(
            FileNotFoundError, match='`img_path` of PhotoFolder.*current fol'):
        PhotoFolderDataset(dict(img_path=str(data / 'nope')))


def test_two_photos_of_one_name(data):
    write(data / 'photos/trip/c.jpg', (7, 9, 3))
    with pytest.raises(
            ValueError,
            match=r"share the id 'trip/c': '.*c\.PNG' and '.*c\.jpg'.*rename"):
        build(data)


def test_unknown_ids_in_the_list(data):
    (data / 'list.txt').write_text('a\nb\ntrip/c.PNG\n')
    with pytest.raises(
            ValueError,
            match=r"2 of 3 lines .* no id .*'b', 'trip/c.PNG'.*without ext"):
        build(data, ann_file=str(data / 'list.txt'))


def test_masks_that_do_not_fit(data):
    with pytest.raises(
            ValueError, match='5 of 7 photos have no mask.*only_masked=True'):
        build(data, masks=True)
    with pytest.raises(ValueError, match="only_masked=True needs data_prefix"):
        build(data, only_masked=True)
    write(data / 'masks/trip/x.png', (4, 9))
    with pytest.raises(
            ValueError,
            match=r"1 of 3 masks in .* belong to no photo .*trip/x\.png"):
        build(data, masks=True, only_masked=True)


def test_no_photo_of_the_list_has_a_mask(data):
    (data / 'list.txt').write_text('Big\nscan\n')
    with pytest.raises(
            ValueError,
            match=r"none of 2 photos has a mask .*such as 'Big\.png'"):
        build(
            data,
            masks=True,
            only_masked=True,
            ann_file=str(data / 'list.txt'))
