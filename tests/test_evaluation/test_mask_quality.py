"""How certain masks are."""
import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmlpcam.evaluation import (class_agreement, class_confidence,
                                mask_confidence)
from mmlpcam.ops import otsu_thresholds
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils.masks import write_index_mask

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'rank_masks.py'


def maps_of(values, labels):
    """Return maps that are these values already."""
    size = values.shape[1:]
    return ActivationMaps(labels, [values], size, size, 'test', 'none')


def test_confidence_by_hand():
    maps = torch.tensor([[[1., .8, .4, 0.]], [[.2, .6, .5, .5]]])
    # the first class wins pixels 0 and 1; at 0.5, equality is background
    expected = [1.8 / (2 + .4), 0.]
    assert class_confidence(maps, .5).tolist() == pytest.approx(expected)
    # the second has pixels 2 and 3 below it
    expected[1] = 1. / (2 + .8)
    assert class_confidence(maps, .4).tolist() == pytest.approx(expected)
    assert mask_confidence(maps_of(maps, (0, 3)),
                           .4) == pytest.approx(np.mean(expected))


def test_certain_and_empty_maps():
    certain = torch.tensor([[[1., 0.], [1., 0.]], [[0., 1.], [0., 0.]]])
    assert class_confidence(certain, .3).tolist() == [1, 1]
    assert class_confidence(torch.zeros(1, 2, 2), .3).tolist() == [0]
    assert mask_confidence(maps_of(torch.zeros(0, 2, 2), ()), .3) == 1


@pytest.mark.parametrize('seed', range(3))
def test_confidence_lies_in_0_1(seed):
    torch.manual_seed(seed)
    found = class_confidence(torch.rand(3, 8, 9), .4)
    assert (found >= 0).all() and (found <= 1).all()


def halves(split):
    """A photo, black on the left of column `split`, white on the right."""
    photo = np.zeros((32, 48, 3), np.uint8)
    photo[:, split:] = 255
    return photo


def test_agreement_with_the_outlines_of_a_photo():
    maps = torch.zeros(2, 32, 48)
    maps[0, :, :24] = 1
    assert class_agreement(maps, .4, halves(24)).tolist() == [1, 0]
    # the outline is elsewhere: the more, the further
    near, far = (
        class_agreement(maps, .4, halves(split))[0] for split in (28, 34))
    assert far < near < 1
    assert mask_confidence(maps_of(maps, (0, 3)), .4, halves(24)) == .5
    none = maps_of(torch.zeros(0, 32, 48), ())
    assert mask_confidence(none, .4, halves(24)) == 1
    # a photo of another size, and a view of one
    larger = halves(24).repeat(2, 0).repeat(2, 1)[::-1]
    assert class_agreement(maps, .4, larger).tolist() == [1, 0]


def test_agreement_of_a_large_photo():
    """It is that of the photo at 160 pixels."""
    maps = torch.zeros(1, 160, 80)
    maps[0, :, :40] = .9
    photo = np.random.default_rng(0).integers(
        0, 256, (160, 80, 3), dtype=np.uint8)
    large = maps.repeat_interleave(3, 1).repeat_interleave(3, 2)
    torch.testing.assert_close(
        class_agreement(large, 'otsu',
                        photo.repeat(3, 0).repeat(3, 1)),
        class_agreement(maps, 'otsu', photo))


@pytest.fixture
def labels(tmp_path):
    """Write maps of three photos, blurred more and more, and their masks."""
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    for index, name in enumerate(('sharp', 'in/soft', 'wrong')):
        values = torch.tensor(truth == 1).float()[None]
        values = values * (1 - .2 * index) + .1 * index
        if name == 'wrong':
            values = values.roll(2, 2)
        maps_of(values, (0, )).save(tmp_path / f'labels/maps/{name}.npz')
        mask = (values[0] > .3).numpy()
        write_index_mask(tmp_path / f'labels/masks/{name}.png', mask)
        write_index_mask(tmp_path / f'truth/{name}.png', truth)
    maps_of(torch.zeros(0, 8, 8), ()).save(tmp_path / 'labels/maps/none.npz')
    (tmp_path / 'labels/manifest.json').write_text(
        json.dumps(
            dict(
                complete=True,
                settings=dict(test_cfg=dict(bg_thr=.3)),
                classes=['background', 'cat'],
                num_masks=4)))
    return tmp_path / 'labels'


def run(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', ['rank_masks', *map(str, args)])
    return runpy.run_path(str(TOOL))['main']()


def test_ranking(labels, monkeypatch, capsys):
    assert run(monkeypatch, labels, '--worst', 2, '--masks',
               labels.parent / 'truth') == 0
    with open(labels / 'ranking.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['photo'] for row in rows] == ['wrong', 'in/soft', 'sharp']
    # 16 pixels at 0.8 of 16 and 48 at 0.2; 0.9 and 0.1; 1 and 0
    assert [float(row['confidence'])
            for row in rows] == pytest.approx([12.8 / 25.6, 14.4 / 20.8, 1],
                                              abs=1e-4)
    assert {row['weakest_class'] for row in rows} == {'cat'}
    assert (labels / 'worst.txt').read_text() == 'wrong\nin/soft\n'
    printed = capsys.readouterr().out
    assert 'of 3 photos: 0.87' in printed  # IoU 1/3, 1, 1
    assert 'mean IoU of all 77.8, of those in worst.txt 66.7' in printed


def test_ranking_with_photos(labels, monkeypatch, capsys):
    """The outline of the photo is that of the mask `wrong`."""
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[4:, 4:] = 255
    photos = labels.parent / 'photos'
    for name in ('sharp', 'in/soft', 'wrong'):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(photos / f'{name}.png')
    assert run(monkeypatch, labels, '--photos', photos) == 0
    with open(labels / 'ranking.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]['photo'] == 'wrong'
    assert float(rows[-1]['confidence']) > float(rows[-2]['confidence'])
    # maps of a pipeline that resizes photos
    maps_of(torch.ones(1, 16, 16), (0, )).save(labels / 'maps/sharp.npz')
    assert run(monkeypatch, labels, '--photos', photos) == 0
    (labels / 'ranking.csv').unlink()
    Image.fromarray(photo[:6]).save(photos / 'sharp.png')
    assert run(monkeypatch, labels, '--photos', photos) == 1
    assert 'sharp.png is (6, 8) (H, W), but' in capsys.readouterr().err
    (photos / 'sharp.png').unlink()
    assert run(monkeypatch, labels, '--photos', photos) == 1
    assert 'holds no photo sharp' in capsys.readouterr().err
    assert not (labels / 'ranking.csv').exists()


def test_ranking_needs_a_threshold(labels, monkeypatch, capsys):
    (labels / 'manifest.json').unlink()
    assert run(monkeypatch, labels) == 1
    assert 'give --bg-thr' in capsys.readouterr().err
    assert not (labels / 'ranking.csv').exists()
    assert run(monkeypatch, labels, '--bg-thr', .3) == 0
    assert (labels / 'worst.txt').read_text() == 'wrong\n'


def test_threshold_of_the_image():
    maps = torch.tensor([[[.1, .1], [.8, .9]], [[.05, .2], [0., .1]]])
    threshold, = otsu_thresholds(maps.amax(0))
    assert torch.equal(
        class_confidence(maps, 'otsu'), class_confidence(maps, threshold))


def test_ranking_of_what_does_not_fit(labels, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, labels, '--worst', 0)
    assert '--worst must be at least 1, but is 0' in capsys.readouterr().err
    assert run(monkeypatch, labels, '--masks', labels.parent / 'gone') == 1
    assert 'gone holds no mask of any' in capsys.readouterr().err
    manifest = json.loads((labels / 'manifest.json').read_text())
    manifest['classes'] = ['background']
    (labels / 'manifest.json').write_text(json.dumps(manifest))
    assert run(monkeypatch, labels) == 1
    assert 'manifest.json names 0: they are not' in capsys.readouterr().err
    assert not (labels / 'ranking.csv').exists()
