import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS

from mmlpcam.engine import (BankVariant, PrototypeBuilder, cache_features,
                            variant_maps)
from mmlpcam.evaluation import CAMIoUMetric

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'compare_banks.py'
BUILDER = dict(fg_thr=.3, mu_f=.2, mu_b=.95, num_workers=0)
CLASSES = ('cat', 'dog', 'bird')


@pytest.fixture
def compare(monkeypatch):
    """The tool as a function of its arguments."""
    spec = importlib.util.spec_from_file_location('compare_banks', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        return module.main()

    return run


@pytest.fixture
def run(tiny, voc_mini, tmp_path):
    """Maps (n, H, W) of all photos for the settings of a variant."""
    model = tiny.build()
    hook = dict(
        type='PrototypeBankHook', dataset=voc_mini.dataset(), **BUILDER)
    dataset = DATASETS.build(voc_mini.dataset(with_masks=True))

    def maps(scales=(1., .5), flip=True, **variant):
        settings = model.decode_head.settings.changed(scales=scales, flip=flip)
        *_, photos = cache_features(model, dataset, settings, tmp_path)
        return [
            maps.full() for maps, _ in variant_maps(model.decode_head, photos,
                                                    BankVariant.parse(variant),
                                                    hook, CLASSES)
        ]

    return maps


def difference(one, two):
    return max(
        float((a - b).abs().max()) if len(a) else 0. for a, b in zip(one, two))


@pytest.mark.parametrize('head, hook', [
    (dict(), dict()),
    (dict(image_weight=.3), dict(soft=True, num_seeds=2, fg_thr=.5)),
    (dict(spread=4.), dict()),
])
def test_maps_are_those_of_a_real_bank(run, tiny, voc_mini, head, hook):
    """What the hook builds and the model predicts, but for half precision."""
    found = run(**head, **hook)
    model = tiny.build(map_type='lpcam')
    model.decode_head.image_weight = head.get('image_weight', 0.)
    model.decode_head.spread = head.get('spread')
    PrototypeBuilder(voc_mini.dataset(), **{**BUILDER, **hook}).build(model)
    real = [
        model.test_step(pseudo_collate([sample]))[0].activation.lpcam
        for sample in DATASETS.build(voc_mini.dataset())
    ]
    assert [len(one) for one in found] == [1, 1, 2, 0, 1, 1]
    assert difference(found, real) < 5e-3


def test_cam_needs_no_bank(run, tiny, voc_mini):
    model = tiny.build(map_type='cam')
    real = [
        model.test_step(pseudo_collate([sample]))[0].activation.cam
        for sample in DATASETS.build(voc_mini.dataset())
    ]
    assert difference(run(map_type='cam'), real) < 1e-4


def test_each_reading_gives_other_maps(run):
    plain = run()
    changed = [
        run(**settings)
        for settings in (dict(center=True), dict(whiten=8), dict(nearest=2),
                         dict(false_positives=True))
    ]
    for maps in changed:
        assert [one.shape for one in maps] == [one.shape for one in plain]
        assert all(one.isfinite().all() for one in maps)
        assert difference(plain, maps) > 1e-2


def test_all_stored_features_are_one_centre(run):
    """The mean cosine to all of them, as a bank of them all has it."""
    near = run(nearest=10**6, map_type='lpcam_f', fg_thr=0.)
    bank = run(num_clusters=10**3, map_type='lpcam_f', fg_thr=0.)
    assert difference(near, bank) < 1e-2


def test_scores_are_those_of_the_metric(compare, tiny, voc_mini, tmp_path,
                                        capsys):
    model = tiny.build(map_type='cam')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    data = voc_mini.dataset(with_masks=True)
    Config(
        dict(
            model=tiny.cfg(),
            test_dataloader=dict(dataset=data),
            custom_hooks=[
                dict(
                    type='PrototypeBankHook',
                    dataset=voc_mini.dataset(),
                    **BUILDER)
            ])).dump(tmp_path / 'mini.py')
    (tmp_path / 'list.py').write_text(
        "variants = dict(cam=dict(map_type='cam'), soft=dict(soft=True))")
    arguments = [tmp_path / name for name in ('mini.py', 'model.pth')]
    assert compare(*arguments, tmp_path / 'list.py', '--scales', 1, .5,
                   '--flip', '--out', tmp_path / 'out.json') == 0
    scores = json.loads((tmp_path / 'out.json').read_text())['scores']
    dataset = DATASETS.build(data)
    metric = CAMIoUMetric(thresholds=(0., .99, .01))
    metric.dataset_meta = dataset.metainfo
    for sample in dataset:
        metric.process(None, [
            one.to_dict() for one in model.test_step(pseudo_collate([sample]))
        ])
    expected = metric.evaluate(len(dataset))
    assert scores['cam']['mIoU'] == pytest.approx(
        expected['seed/cam/mIoU'], abs=.05)
    assert list(scores) == ['cam', 'soft']
    assert '| soft ' in capsys.readouterr().out
    (tmp_path / 'bad.py'
     ).write_text('variants = dict(fine=dict(), bad=dict(fg_threshold=1))')
    assert compare(*arguments, tmp_path / 'bad.py') == 1
    captured = capsys.readouterr()
    assert "'fg_threshold'" in captured.err and 'fine' not in captured.out
    assert compare(*arguments, tmp_path / 'list.py', '--only', 'hard') == 1
    assert "not ['hard']" in capsys.readouterr().err


@pytest.mark.parametrize('settings, message', [
    (dict(map_type='recam'), "`map_type` of .* but got 'recam'"),
    (dict(image_weight=1), r'`image_weight` must lie in \[0, 1\), but is 1'),
    (dict(spread=0), '`spread` must be above 0, but is 0'),
    (dict(whiten=0), '`whiten` must be at least 1, but is 0'),
    (dict(nearest=5, image_weight=.5), '`nearest` has no directions'),
])
def test_variant_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        BankVariant.parse(settings)
