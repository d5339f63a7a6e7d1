from dataclasses import replace

import pytest
import torch
from mmseg.structures import SegDataSample

from mmlpcam.models import MapReader, MapRefiner, TrainingFree
from mmlpcam.structures import ActivationMaps

SIZE = (20, 30)


class Squared(MapRefiner, TrainingFree):
    """Maps become their squares."""
    map_type = 'squared'
    defaults = dict(bg_thr=.3, power=2)

    def refine(self, images, maps, data_samples):
        return [
            replace(
                each,
                scales=[each.full()**self.test_cfg['power']],
                extent=each.size,
                source=self.map_type) for each in maps
        ]


@pytest.fixture
def stored(tmp_path):
    """Write maps of two images and return what a loader gives."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for number, labels in enumerate([(0, 2), ()]):
        ActivationMaps(labels,
                       [torch.rand(len(labels), 2, 3, generator=generator)],
                       SIZE, (32, 48), 'cam').save(tmp_path / f'{number}.npz')
        inputs.append(torch.zeros(3, *SIZE, dtype=torch.uint8))
        samples.append(SegDataSample(metainfo=dict(image_id=str(number))))
    return str(tmp_path), dict(inputs=inputs, data_samples=samples)


def test_refined_maps_and_their_masks(stored):
    folder, batch = stored
    found = Squared(dict(bg_thr=.5), map_dir=folder).test_step(batch)
    for number, sample in enumerate(found):
        seeds = ActivationMaps.load(f'{folder}/{number}.npz').full()
        expected = seeds**2
        if len(expected):
            expected = expected / expected.amax((1, 2), keepdim=True)
        maps = sample.activation.squared
        torch.testing.assert_close(maps, expected)
        assert sample.map_type == sample.scale_maps.source == 'squared'
        planes = torch.zeros(4, *SIZE)
        planes[0] = .5
        planes[[label + 1 for label in sample.img_labels]] = maps
        assert torch.equal(sample.pred_sem_seg.data[0], planes.argmax(0))
    assert found[0].img_labels == (0, 2) and found[1].img_labels == ()
    assert set(found[0].pred_sem_seg.data.unique().tolist()) == {0, 1, 3}


def test_settings(stored):
    folder, batch = stored
    assert dict(Squared(map_dir=folder).test_cfg) == dict(bg_thr=.3, power=2)
    with pytest.raises(ValueError, match=r"\['sigma'\].*Squared takes"):
        Squared(dict(sigma=3), map_dir=folder)
    with pytest.raises(ValueError, match='Squared starts from stored maps'):
        Squared().test_step(batch)
    for mode in ('loss', 'tensor'):
        with pytest.raises(ValueError, match=f"to train: mode '{mode}'"):
            Squared(map_dir=folder)(**batch, mode=mode)


def test_maps_that_do_not_fit(stored):
    folder, batch = stored
    batch['inputs'][1] = batch['inputs'][1][:, 1:]
    with pytest.raises(ValueError, match=r'1\.npz .*\(20, 30\).*\(19, 30\)'):
        Squared(map_dir=folder).test_step(batch)
    batch['data_samples'][1].set_metainfo(dict(image_id='2'))
    with pytest.raises(FileNotFoundError, match=r'2\.npz does not exist'):
        Squared(map_dir=folder).test_step(batch)


def test_reader_may_write_anything(stored):
    folder, batch = stored
    seen = []

    class Reader(MapReader, TrainingFree):

        def label(self, images, maps, data_samples):
            seen.extend(zip(images, maps, data_samples))

    found = Reader(map_dir=folder).test_step(batch)
    assert [sample.image_id for sample in found] == ['0', '1']
    assert [maps.labels for _, maps, _ in seen] == [(0, 2), ()]
    assert [tuple(image.shape[1:]) for image, _, _ in seen] == [SIZE] * 2
