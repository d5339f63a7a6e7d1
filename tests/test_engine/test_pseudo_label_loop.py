import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from mmlpcam.engine import PseudoLabelLoop, model_digest
from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.ops import background_score
from mmlpcam.structures import ActivationMaps

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Spare the report on compilers and devices, most of the time here."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)


class Labels:
    """Test runs that write masks with one checkpoint."""

    def __init__(self, tiny, data, folder):
        self.tiny, self.data, self.folder = tiny, data, folder
        self.out_dir = folder / 'labels'
        self.checkpoint = folder / 'model.pth'
        self.count = 0
        self.train()

    def train(self, seed=0):
        model = self.tiny.build(seed=seed, with_bank=True)
        torch.save(dict(state_dict=model.state_dict()), self.checkpoint)

    def run(self,
            batch_size=1,
            evaluator=None,
            out_dir=None,
            custom_hooks=None,
            **test_cfg):
        """Return the metrics of a run."""
        self.count += 1
        writer = dict(
            type='PseudoLabelWriter',
            out_dir=str(out_dir or self.out_dir),
            save_maps=True)
        runner = Runner(
            model=self.tiny.cfg(**{
                **dict(bg_thr=.5),
                **test_cfg
            }),
            work_dir=str(self.folder / 'work'),
            experiment_name=f'run{self.count}',
            default_scope='mmseg',
            load_from=str(self.checkpoint),
            log_level='ERROR',
            default_hooks=dict(logger=None, checkpoint=None, timer=None),
            custom_hooks=custom_hooks,
            randomness=dict(seed=0),
            test_cfg=dict(type='PseudoLabelLoop'),
            test_evaluator=evaluator or writer,
            test_dataloader=dict(
                batch_size=batch_size,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=self.data.dataset()))
        return runner.test()

    def content(self, folder=None):
        """Bytes of all labels by name."""
        folder = folder or self.out_dir
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*')
            if path.is_file() and path.name != 'manifest.json'
        }

    @property
    def manifest(self):
        return json.loads((self.out_dir / 'manifest.json').read_text())


@pytest.fixture
def labels(tiny, voc_mini, tmp_path):
    return Labels(tiny, voc_mini, tmp_path)


def test_first_run_writes_all(labels):
    assert labels.run() == {'labels/written': 6}
    ids = labels.data.image_ids
    assert set(labels.content()) == {
        name
        for i in ids
        for name in (f'masks/{i}.png', f'maps/{i}.npz')
    }
    for image_id, classes, (height, width) in zip(ids, labels.data.indices,
                                                  labels.data.sizes):
        with Image.open(labels.out_dir / 'masks' / f'{image_id}.png') as mask:
            assert mask.mode == 'P' and mask.size == (width, height)
            found = set(np.unique(mask).tolist())
        assert found <= {0, *(c + 1 for c in classes)}
        assert bool(found - {0}) == bool(classes)
        maps = ActivationMaps.load(labels.out_dir / 'maps' / f'{image_id}.npz')
        assert maps.labels == classes and maps.size == (height, width)
    assert labels.manifest['complete'] is True
    assert labels.manifest['num_masks'] == 6
    assert labels.manifest['classes'] == list(labels.tiny.classes)
    assert labels.manifest['settings']['test_cfg']['bg_thr'] == .5


def own_thresholds(labels):
    """Thresholds of the maps with labels, each alone."""
    maps = [
        ActivationMaps.load(path) for path in labels.out_dir.glob('maps/*.npz')
    ]
    return [background_score(m.full(), 'otsu') for m in maps if m.labels]


def test_threshold_of_each_image_and_of_the_set(labels):
    """That of an image is brought halfway to the median."""
    labels.run(bg_thr='otsu')
    own = own_thresholds(labels)
    assert len(set(own)) > 2
    bg_thr = labels.manifest['settings']['test_cfg']['bg_thr']
    assert bg_thr == f'otsu:{np.median(own):.4f}'
    for path in labels.out_dir.glob('maps/*.npz'):
        maps = ActivationMaps.load(path)
        with Image.open(labels.out_dir / f'masks/{path.stem}.png') as image:
            mask = torch.from_numpy(np.array(image))
        scores = maps.full().amax(0) if maps.labels else torch.zeros(1, 1)
        expected = scores > background_score(maps.full(), bg_thr)
        # maps are stored in half precision
        assert ((mask > 0) != expected).float().mean() < .01


def test_threshold_of_the_set_from_few_images(labels, monkeypatch):
    monkeypatch.setattr('mmlpcam.engine.pseudo_label_loop._TYPICAL_IMAGES', 1)
    labels.run(bg_thr='otsu')
    own = own_thresholds(labels)
    first = labels.manifest['settings']['test_cfg']['bg_thr']
    assert float(first.split(':')[1]) in [round(each, 4) for each in own]


def test_threshold_of_the_set_stays_when_labels_are_continued(
        labels, monkeypatch):
    """The images of the first run decide, not those of the second."""
    labels.run(bg_thr='otsu')
    before = labels.content()
    (labels.out_dir / 'masks' / f'{labels.data.image_ids[0]}.png').unlink()

    def again(*args):
        raise AssertionError('it is known')

    monkeypatch.setattr(PseudoLabelLoop, '_typical_threshold', again)
    assert labels.run(bg_thr='otsu') == {'labels/written': 1}
    assert labels.content() == before
    # of another model it is another
    labels.train(seed=1)
    with pytest.raises(AssertionError, match='it is known'):
        labels.run(bg_thr='otsu')


def test_second_run_writes_none(labels):
    labels.run()
    before = labels.content()
    times = [p.stat().st_mtime_ns for p in labels.out_dir.rglob('*.png')]
    assert labels.run() == {'labels/written': 0}
    assert labels.content() == before
    assert [p.stat().st_mtime_ns
            for p in labels.out_dir.rglob('*.png')] == times
    assert labels.manifest['complete'] is True


def test_only_missing_ones_are_made(labels):
    labels.run()
    before = labels.content()
    first, second = labels.data.image_ids[1], labels.data.image_ids[4]
    (labels.out_dir / 'masks' / f'{first}.png').unlink()
    (labels.out_dir / 'maps' / f'{second}.npz').unlink()
    kept = labels.out_dir / 'masks' / f'{labels.data.image_ids[0]}.png'
    time = kept.stat().st_mtime_ns
    (labels.out_dir / 'masks' / '.tmp-killed.png').write_text('half')
    assert labels.run() == {'labels/written': 2}
    assert labels.content() == before
    assert kept.stat().st_mtime_ns == time


def test_label_that_vanishes_while_others_are_written(labels, monkeypatch):
    process = PseudoLabelWriter.process
    first, second = labels.data.image_ids[:2]

    def remove_first(self, data_batch, data_samples):
        process(self, data_batch, data_samples)
        if data_samples[0]['image_id'] == second:
            (self.out_dir / 'masks' / f'{first}.png').unlink()

    monkeypatch.setattr(PseudoLabelWriter, 'process', remove_first)
    with pytest.raises(RuntimeError, match=f"1 of 6 labels in .*'{first}'"):
        labels.run()
    assert labels.manifest['complete'] is False
    assert labels.manifest['num_masks'] == 5
    monkeypatch.setattr(PseudoLabelWriter, 'process', process)
    assert labels.run() == {'labels/written': 1}
    assert labels.manifest['complete'] is True


def test_other_model_or_settings_are_refused(labels):
    labels.run()
    before = labels.content()
    with pytest.raises(RuntimeError, match=r'other settings \(test_cfg\)'):
        labels.run(bg_thr=.4)
    labels.train(seed=1)
    with pytest.raises(RuntimeError, match=r'other settings \(model\)'):
        labels.run()
    assert labels.content() == before


def test_mask_follows_the_settings(labels, tmp_path):
    """The refused labels would differ indeed."""
    labels.run()
    other = tmp_path / 'other'
    labels.run(bg_thr=.9, out_dir=other)
    assert labels.content(other) != labels.content()


def test_other_metrics_are_refused(labels):
    writer = dict(type='PseudoLabelWriter', out_dir=str(labels.out_dir))
    for evaluator in ([writer, dict(type='CAMIoUMetric')],
                      dict(type='CAMIoUMetric'), [writer, dict(writer)]):
        with pytest.raises(
                ValueError, match='takes one PseudoLabelWriter, but got'):
            labels.run(evaluator=evaluator)
    assert labels.content() == {}


def test_digest_depends_on_weights_and_bank(tiny):
    model = tiny.build()
    digest = model_digest(model)
    assert digest == model_digest(tiny.build()) and len(digest) == 16
    assert digest != model_digest(tiny.build(seed=1))
    model.decode_head.bank.class_valid[0, 0] = True
    assert model_digest(model) != digest
    model = tiny.build()
    model.decode_head.conv_seg.weight.data[0, 0] += 1e-3
    assert model_digest(model) != digest


def test_averaged_weights_make_the_labels(tiny, voc_mini, tmp_path):
    """EMAHook swaps weights before a test and back after it."""
    labels = Labels(tiny, voc_mini, tmp_path)
    labels.run(out_dir=tmp_path / 'averaged')
    averaged = torch.load(labels.checkpoint)['state_dict']
    labels.train(seed=1)
    plain = torch.load(labels.checkpoint)
    # EMAHook keeps the averaged weights of a checkpoint as its state_dict
    torch.save(
        dict(
            state_dict=averaged,
            ema_state_dict={
                'steps': torch.tensor(1),
                **{
                    f'module.{name}': value
                    for name, value in plain['state_dict'].items()
                }
            }), labels.checkpoint)
    labels.run(custom_hooks=[dict(type='EMAHook')])
    assert labels.content() == labels.content(tmp_path / 'averaged')
    assert len(labels.content()) > 1
