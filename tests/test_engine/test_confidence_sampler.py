"""How often photos come up, by the confidence of their masks."""
import json
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from PIL import Image

from mmlpcam.engine import ConfidenceSampler
from mmlpcam.structures import ActivationMaps

# one map of this value everywhere: 1 is the soft IoU of a certain mask
CONFIDENCE = [.8, .4, 0., 1., .6, .2]


@pytest.fixture
def labels(voc_mini, tmp_path):
    """Maps and masks of six photos; the third has a map below bg_thr."""
    folder = tmp_path / 'labels'
    for name, size, value in zip(voc_mini.image_ids, voc_mini.sizes,
                                 CONFIDENCE):
        maps = ActivationMaps((0, ), [torch.full((1, *size), value or .05)],
                              size, size, 'test', 'none')
        maps.save(folder / 'maps' / f'{name}.npz')
        for masks in (folder / 'masks', tmp_path / 'true'):
            path = masks / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            if masks.parent == folder or name == voc_mini.image_ids[5]:
                Image.fromarray(np.ones(size, np.uint8)).save(path)
    (folder / 'manifest.json').write_text(
        json.dumps(
            dict(
                complete=True,
                settings=dict(test_cfg=dict(bg_thr=.1)),
                classes=['background', 'cat'],
                num_masks=6)))
    return folder


def dataset(voc_mini, labels, **kwargs):
    return DATASETS.build(
        dict(
            type='PseudoLabelDataset',
            label_dir=str(labels / 'masks'),
            dataset=voc_mini.dataset(with_masks=True)['dataset'],
            **kwargs))


def test_shares(voc_mini, labels, tmp_path):
    data = dataset(voc_mini, labels)
    shares = ConfidenceSampler(data, str(labels / 'maps'), seed=0).shares()
    torch.testing.assert_close(shares.float(), torch.tensor(CONFIDENCE) / 3)
    # a true mask is certain, and may lack maps
    (labels / 'maps' / f'{voc_mini.image_ids[5]}.npz').unlink()
    data = dataset(voc_mini, labels, true_label_dir=str(tmp_path / 'true'))
    shares = ConfidenceSampler(data, str(labels / 'maps'), seed=0).shares()
    torch.testing.assert_close(shares.float(),
                               torch.tensor([*CONFIDENCE[:5], 1.]) / 3.8)


def test_shares_of_joined_datasets(voc_mini, labels, tmp_path):
    """A true mask counts for the photos that are trained on it."""
    true = str(tmp_path / 'true')  # of the last photo

    def part(indices, **kwargs):
        leaf = dict(
            voc_mini.dataset(with_masks=True)['dataset'], indices=indices)
        return dict(
            type='PseudoLabelDataset',
            label_dir=str(labels / 'masks'),
            dataset=leaf,
            **kwargs)

    def shares(*parts):
        data = DATASETS.build(dict(type='ConcatDataset', datasets=[*parts]))
        return ConfidenceSampler(data, str(labels / 'maps'), seed=0).shares()

    made = part([0, 5])
    # the other dataset has no photo 5, though a true mask of that name
    other = part([1], true_label_dir=true, check_files=False)
    torch.testing.assert_close(
        shares(made, other).float(),
        torch.tensor([.8, .2, .4]) / 1.4)
    # a dataset on its own masks needs no maps
    (labels / 'maps' / f'{voc_mini.image_ids[1]}.npz').unlink()
    torch.testing.assert_close(
        shares(made, other['dataset']).float(),
        torch.tensor([.8, .2, 1.]) / 2)


def test_photos_come_up_by_their_share(voc_mini, labels):
    sampler = ConfidenceSampler(
        dataset(voc_mini, labels), str(labels / 'maps'), seed=0)
    total = Counter()
    for epoch in range(400):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert drawn == list(sampler) and len(drawn) == 6
        count = Counter(drawn)
        for photo, value in enumerate(CONFIDENCE):  # its share of 6 is 2 value
            assert int(2 * value) <= count[photo] <= -int(-2 * value // 1)
        total.update(drawn)
    for photo, value in enumerate(CONFIDENCE):
        assert total[photo] / 400 == pytest.approx(2 * value, abs=.08)


def test_equal_confidence_is_one_of_each(voc_mini, labels):
    sampler = ConfidenceSampler(
        dataset(voc_mini, labels), str(labels / 'maps'), seed=0)
    sampler._shares = torch.full((6, ), 1 / 6, dtype=torch.float64)
    orders = set()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        orders.add(tuple(sampler))
        assert sorted(sampler) == list(range(6))
    assert len(orders) > 10


def test_processes_share_an_epoch(voc_mini, labels, monkeypatch):
    drawn = []
    for rank in range(4):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info',
            lambda rank=rank: (rank, 4))
        sampler = ConfidenceSampler(
            dataset(voc_mini, labels), str(labels / 'maps'), seed=0)
        assert len(list(sampler)) == len(sampler) == 2
        drawn.append(list(sampler))
    monkeypatch.undo()
    assert isinstance(sampler, DefaultSampler)
    count = Counter(sum(drawn, []))  # 8 of them
    for photo, value in enumerate(CONFIDENCE):
        assert abs(count[photo] - 8 / 3 * value) < 1


def test_config_of_a_loader(voc_mini, labels):
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(
                type='ConfidenceSampler', map_dir=str(labels / 'maps')),
            dataset=dataset(voc_mini, labels)),
        seed=0)
    ids = [
        sample.image_id for batch in loader for sample in batch['data_samples']
    ]
    assert len(ids) == 6 and voc_mini.image_ids[2] not in ids


def test_bad_folders(voc_mini, labels):
    data = dataset(voc_mini, labels)
    with pytest.raises(ValueError, match='resolved by StagedRunner'):
        ConfidenceSampler(data, 'stage://labels/maps', seed=0).shares()
    (labels / 'manifest.json').write_text(
        json.dumps(
            dict(
                complete=True,
                settings=dict(test_cfg=dict(bg_thr=1.)),
                classes=['background', 'cat'],
                num_masks=6)))
    with pytest.raises(ValueError, match='bg_thr=1.0: lower the score'):
        ConfidenceSampler(data, str(labels / 'maps'), seed=0).shares()
    (labels / 'maps' / f'{voc_mini.image_ids[0]}.npz').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 6 images have no maps'):
        ConfidenceSampler(data, str(labels / 'maps'), seed=0).shares()
