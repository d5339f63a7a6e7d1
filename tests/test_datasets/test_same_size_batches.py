import numpy as np
import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch.utils.data import Subset

from mmlpcam.datasets import SameSizeBatchSampler

SIZES = [(6, 4), (4, 6), (6, 4), (6, 4), (4, 6), (8, 8)]  # (width, height)


class Photos:

    def __init__(self, folder):
        self.paths = []
        for i, (width, height) in enumerate(SIZES):
            path = folder / f'{i}.png'
            Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)
            self.paths.append(path)

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=str(self.paths[index]))

    def __getitem__(self, index):
        return index


@pytest.fixture
def photos(tmp_path):
    return Photos(tmp_path)


def batches(dataset, batch_size):
    sampler = SameSizeBatchSampler(
        DefaultSampler(dataset, shuffle=False), batch_size)
    found = list(sampler)
    assert len(sampler) == len(found)
    return found


def test_full_batches_first_the_rest_at_the_end(photos):
    assert batches(photos, 2) == [[0, 2], [1, 4], [3], [5]]
    assert batches(photos, 3) == [[0, 2, 3], [1, 4], [5]]
    assert batches(photos, 1) == [[0], [1], [2], [3], [4], [5]]


def test_a_turned_photo_goes_with_those_of_its_upright_size(photos):
    exif = Image.Exif()
    exif[0x0112] = 6  # by 90 degrees
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(
        photos.paths[1], exif=exif)
    assert batches(photos, 3) == [[0, 2, 3], [1, 4], [5]]


def test_photos_that_cannot_be_read_are_alone(photos):
    for index in (0, 2):
        photos.paths[index].write_bytes(b'no photo')
    assert batches(photos, 2) == [[0], [2], [1, 4], [3], [5]]


def test_indices_of_a_subset(photos):
    assert batches(Subset(photos, [5, 4, 1]), 2) == [[1, 2], [0]]


def test_a_loader_builds_it(photos):
    init_default_scope('mmseg')
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=0,
            dataset=photos,
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_sampler=dict(type='SameSizeBatchSampler')))
    assert len(loader) == 4
    assert list(loader) == [[0, 2], [1, 4], [3], [5]]


def test_photos_are_counted_once_an_epoch(photos, monkeypatch):
    sampler = DefaultSampler(photos, shuffle=False)
    batch_sampler = SameSizeBatchSampler(sampler, 2)
    orders = []
    iterate = DefaultSampler.__iter__
    monkeypatch.setattr(
        DefaultSampler, '__iter__',
        lambda self: orders.append(self.epoch) or iterate(self))
    assert [len(batch_sampler) for _ in range(3)] == [4, 4, 4]
    assert set(orders) == {0}
    number = len(orders)
    sampler.set_epoch(1)
    assert [len(batch_sampler) for _ in range(3)] == [4, 4, 4]
    assert orders[number:] == [1]


def test_a_size_below_one_is_refused(photos):
    with pytest.raises(ValueError, match='at least 1'):
        SameSizeBatchSampler(DefaultSampler(photos), 0)


def test_endless_sampler_is_refused():
    """It would be waited for without end."""
    with pytest.raises(TypeError, match='InfiniteSampler never ends'):
        SameSizeBatchSampler(InfiniteSampler([0, 1]), 2)
