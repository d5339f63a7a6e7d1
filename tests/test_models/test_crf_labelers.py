import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.models import IRLabeler
from mmlpcam.ops import confident_labels, covered_size
from mmlpcam.ops.dense_crf import choose_backend
from mmlpcam.structures import ActivationMaps

CRF = dict(backend='torch', num_iters=2)
SETTINGS = dict(fg_thr=.45, bg_thr=.25, crf=CRF)
NO_CRF = dict(backend='torch', gaussian_compat=0, bilateral_compat=0)
SIZES = [(33, 40), (40, 33), (28, 50)]
LABELS = [(0, 2), (), (3, )]


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_maps(labels, size, seed=0):
    scales = [
        randn(len(labels), *grid, seed=seed + i).relu()
        for i, grid in enumerate([(3, 4), (2, 2)])
    ]
    return ActivationMaps(
        tuple(labels), scales, size, covered_size(size, 16), 'lpcam')


@pytest.fixture
def stored(tmp_path):
    """Write maps of three images; give a batch as a data loader does."""
    inputs, samples = [], []
    for number, (labels, size) in enumerate(zip(LABELS, SIZES)):
        make_maps(
            labels, size, seed=10 * number).save(tmp_path / f'a/{number}.npz')
        image = 90 + 40 * randn(3, *size, seed=number)
        inputs.append(image.clamp(0, 255).byte())
        samples.append(SegDataSample(metainfo=dict(image_id=f'a/{number}')))
    return str(tmp_path), dict(inputs=inputs, data_samples=samples)


def build(folder, num_workers=0, **settings):
    return IRLabeler(
        dict(SETTINGS, **settings), map_dir=folder, num_workers=num_workers)


def masks(results):
    return [result.pred_sem_seg.data for result in results]


@pytest.fixture
def pools():
    """Labellers whose processes are to be ended."""
    started = []
    yield started
    for model in started:
        model._pool.shutdown()


def test_labels_follow_the_maps(stored):
    folder, batch = stored
    found = masks(build(folder).test_step(batch))
    for number, mask in enumerate(found):
        maps = ActivationMaps.load(f'{folder}/a/{number}.npz')
        # images come as BGR
        image = batch['inputs'][number].numpy()[::-1].transpose(1, 2, 0)
        expected, = confident_labels([np.ascontiguousarray(image)],
                                     [maps.full().numpy()], [maps.labels],
                                     fg_thr=.45,
                                     bg_thr=.25,
                                     crf=CRF)
        assert mask.dtype == torch.int64 and mask.shape == (1, *SIZES[number])
        np.testing.assert_array_equal(mask[0], expected)
    assert [set(mask.unique().tolist()) for mask in found] == [{0, 1, 3, 255},
                                                               {0},
                                                               {0, 4, 255}]


def test_crf_is_that_of_the_config(stored):
    folder, batch = stored
    one, other = (
        masks(build(folder, crf=crf).test_step(batch))
        for crf in (CRF, NO_CRF))
    assert (one[0] != other[0]).float().mean() > .01
    peak = ActivationMaps.load(f'{folder}/a/0.npz').full().amax(0)
    np.testing.assert_array_equal((other[0][0] == 0), peak
                                  <= torch.tensor(.25))
    np.testing.assert_array_equal(
        (other[0][0] == 255),
        (peak > torch.tensor(.25)) & (peak <= torch.tensor(.45)))


def test_images_are_turned_to_rgb(stored, monkeypatch):
    """The kernels know no order of channels, so that masks do not tell."""
    folder, batch = stored
    seen = []

    def spy(images, maps, labels, **kwargs):
        seen.extend((*each, kwargs) for each in zip(images, labels))
        return [np.zeros(image.shape[:2], np.uint8) for image in images]

    monkeypatch.setattr(IRLabeler, 'function', staticmethod(spy))
    build(folder).test_step(batch)
    for (image, labels,
         kwargs), given, expected in zip(seen, batch['inputs'], LABELS):
        assert isinstance(image, np.ndarray) and image.dtype == np.uint8
        assert image.flags.c_contiguous
        blue, green, red = given.numpy()
        np.testing.assert_array_equal(image, np.stack([red, green, blue], 2))
        assert labels == expected
        crf = dict(CRF, device=torch.device('cpu'))
        assert kwargs == dict(fg_thr=.45, bg_thr=.25, crf=crf)


# --- processes ------------------------------------------------------------


def test_processes_change_nothing(stored, pools):
    folder, batch = stored
    alone = masks(build(folder).test_step(batch))
    model = build(folder, num_workers=2)
    pools.append(model)
    for _ in range(2):  # the second batch finds the processes there
        together = masks(model.test_step(batch))
        assert all(map(torch.equal, alone, together))


def test_processes_get_arrays_only(stored, monkeypatch):
    """PyTorch hangs in a fork once its threads have been at work."""
    folder, batch = stored
    sent = []

    def record(self, function, *arguments):
        sent.extend(arguments)
        return map(function, *arguments)

    monkeypatch.setattr(IRLabeler, '_map', record)
    build(folder, num_workers=2).test_step(batch)
    for images in sent:
        assert len(images) == 3
        assert not any(isinstance(item, torch.Tensor) for item in images)
    assert [type(items[0])
            for items in sent] == [np.ndarray, np.ndarray, tuple]


def test_no_process_is_started_for_nothing(stored):
    folder, batch = stored
    assert build(folder, num_workers=2)._pool is None
    alone = build(folder)
    alone.test_step(batch)
    assert alone._pool is None


# --- errors ---------------------------------------------------------------


def test_a_negative_threshold():
    with pytest.raises(ValueError, match=r'bg_thr in \[0, 1\], or .*-0.1'):
        build('maps', fg_thr=.3, bg_thr=-.1)


def test_a_negative_number_of_workers():
    with pytest.raises(ValueError, match='`num_workers`.* 0, but is -1'):
        build('maps', num_workers=-1)


@pytest.mark.parametrize('fg_thr, bg_thr', [(.2, .3), (1.1, .3),
                                            (float('nan'), .3), ('otsu', .3),
                                            (.3, 'otsu')])
def test_thresholds(fg_thr, bg_thr):
    with pytest.raises(
            ValueError,
            match=f'0 <= bg_thr <= fg_thr <= 1.*fg_thr {fg_thr!r}'):
        build('maps', fg_thr=fg_thr, bg_thr=bg_thr)


@pytest.mark.parametrize('fg_thr, bg_thr', [(.3, .3), (1, 0)])
def test_limits_of_thresholds(stored, fg_thr, bg_thr):
    folder, batch = stored
    found = masks(
        build(folder, fg_thr=fg_thr, bg_thr=bg_thr,
              crf=NO_CRF).test_step(batch))
    values = set(torch.cat([mask.flatten() for mask in found]).tolist())
    assert values == ({0, 1, 3, 4} if fg_thr == bg_thr else {0, 255})


@pytest.mark.parametrize('mode', ['loss', 'tensor'])
def test_nothing_to_train(stored, mode):
    folder, batch = stored
    with pytest.raises(ValueError, match=f"nothing to train: mode '{mode}'"):
        build(folder)(**batch, mode=mode)


def test_image_without_maps(stored):
    folder, batch = stored
    batch['data_samples'][1].set_metainfo(dict(image_id='a/7'))
    with pytest.raises(FileNotFoundError, match=r'a/7\.npz does not exist'):
        build(folder).test_step(batch)


def test_sample_without_id(stored):
    folder, batch = stored
    batch['data_samples'][1] = SegDataSample()
    with pytest.raises(ValueError, match='wrap the dataset in ImageLabelData'):
        build(folder).test_step(batch)


def test_maps_of_another_size(stored):
    folder, batch = stored
    batch['inputs'][1] = batch['inputs'][1][:, 1:]
    with pytest.raises(
            ValueError,
            match=r'a/1\.npz holds maps of an image of \(40, 33\) \(H, W\), '
            r'but the image is \(39, 33\)'):
        build(folder).test_step(batch)


# --- runs -----------------------------------------------------------------


class Chain:
    """Runs that label the six images from stored maps."""

    def __init__(self, data, folder):
        self.data, self.folder = data, folder
        self.out_dir = folder / 'labels'
        self.count = 0
        for number, (image_id, labels, size) in enumerate(
                zip(data.image_ids, data.indices, data.sizes)):
            make_maps(
                labels, size,
                seed=number).save(folder / 'maps' / f'{image_id}.npz')

    def run(self, batch_size=1, num_workers=0, **settings):
        self.count += 1
        runner = Runner(
            model=dict(
                type='IRLabeler',
                map_dir=str(self.folder / 'maps'),
                num_workers=num_workers,
                test_cfg=dict(SETTINGS, **settings)),
            work_dir=str(self.folder / 'work'),
            experiment_name=f'run{self.count}',
            default_scope='mmseg',
            log_level='ERROR',
            default_hooks=dict(logger=None, checkpoint=None, timer=None),
            randomness=dict(seed=0),
            test_cfg=dict(type='PseudoLabelLoop'),
            test_evaluator=dict(
                type='PseudoLabelWriter', out_dir=str(self.out_dir)),
            test_dataloader=dict(
                batch_size=batch_size,
                num_workers=0,
                collate_fn=dict(type='pseudo_collate'),
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=self.data.dataset()))
        result = runner.test()
        if runner.model._pool is not None:
            runner.model._pool.shutdown()
        return result

    def content(self):
        return {
            path.relative_to(self.out_dir).as_posix(): path.read_bytes()
            for path in self.out_dir.rglob('*.png')
        }

    @property
    def manifest(self):
        return json.loads((self.out_dir / 'manifest.json').read_text())


@pytest.fixture
def chain(voc_mini, tmp_path, monkeypatch):
    # spare the report on compilers and devices
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    return Chain(voc_mini, tmp_path)


def test_a_run_labels_all_images(chain):
    assert chain.run() == {'labels/written': 6}
    assert set(chain.content()) == {
        f'masks/{image_id}.png'
        for image_id in chain.data.image_ids
    }
    for image_id, labels, (height, width) in zip(chain.data.image_ids,
                                                 chain.data.indices,
                                                 chain.data.sizes):
        with Image.open(chain.data.root / 'JPEGImages' /
                        f'{image_id}.jpg') as image:
            image = np.array(image)
        maps = ActivationMaps.load(chain.folder / 'maps' / f'{image_id}.npz')
        expected, = confident_labels([image], [maps.full().numpy()], [labels],
                                     fg_thr=.45,
                                     bg_thr=.25,
                                     crf=CRF)
        with Image.open(chain.out_dir / 'masks' / f'{image_id}.png') as mask:
            assert mask.size == (width, height)
            mask = np.array(mask)
        assert set(np.unique(mask)) <= {0, 255, *(i + 1 for i in labels)}
        # the two decoders of JPEG may differ by a grey level
        assert (mask != expected).mean() < .01
        assert bool(mask.any()) == bool(labels)
    assert chain.manifest['complete'] is True
    assert chain.manifest['num_masks'] == 6
    assert chain.manifest['settings']['test_cfg'] == dict(
        fg_thr=.45, bg_thr=.25, crf=CRF)


def test_a_second_run_labels_none(chain):
    chain.run()
    before = chain.content()
    assert chain.run() == {'labels/written': 0}
    assert chain.content() == before


def test_only_missing_images_are_labeled(chain):
    chain.run()
    before = chain.content()
    for image_id in (chain.data.image_ids[0], chain.data.image_ids[4]):
        (chain.out_dir / 'masks' / f'{image_id}.png').unlink()
    assert chain.run() == {'labels/written': 2}
    assert chain.content() == before


def test_batches_and_processes_change_nothing(chain, tmp_path):
    """Images of different sizes make a batch; workers are no setting."""
    chain.run()
    before = chain.content()
    chain.out_dir = tmp_path / 'other'
    assert chain.run(batch_size=4, num_workers=2) == {'labels/written': 6}
    assert chain.content() == before
    assert chain.run() == {'labels/written': 0}


def test_other_thresholds_are_refused(chain):
    chain.run()
    before = chain.content()
    with pytest.raises(RuntimeError, match=r'other settings \(test_cfg\)'):
        chain.run(bg_thr=.1)
    assert chain.content() == before


def test_registered(mmseg_scope):
    model = MODELS.build(
        dict(
            type='IRLabeler',
            map_dir='maps',
            test_cfg=dict(fg_thr=.3, bg_thr=.05)))
    # what 'auto' has chosen is what PseudoLabelLoop writes down
    assert model.test_cfg == dict(
        fg_thr=.3, bg_thr=.05, crf=dict(backend=choose_backend('auto')))
    assert list(model.parameters()) == []
