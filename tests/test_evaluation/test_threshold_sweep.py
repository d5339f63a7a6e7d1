import json

import numpy as np
import pytest
import torch
from mmseg.registry import DATASETS
from sklearn.metrics import roc_curve

from mmlpcam.evaluation import (CAMIoUMetric, LabelQuality, ThresholdSweep,
                                find_maps, load_scored_maps, sweep_thresholds,
                                threshold_grid)
from mmlpcam.ops import covered_size
from mmlpcam.structures import ActivationMaps

CLASSES = ('background', 'cat', 'dog', 'bird')
GRID = threshold_grid(0., 1., .1)


def random_samples(num=8, seed=0, source='cam', normalization='class'):
    """Maps at stride 4 and masks that they agree with now and then."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(num):
        size = tuple(rng.integers(9, 30, 2).tolist())
        labels = [(1, 2), (0, ), (), (0, 1, 2)][i % 4]
        cells = [-(-edge // 4) for edge in size]
        scales = [
            torch.from_numpy(
                rng.random((len(labels), *cells), dtype=np.float32)**3)
            for _ in range(2)
        ]
        maps = ActivationMaps(labels, scales, size, covered_size(size, 4),
                              source, normalization)
        truth = torch.from_numpy(rng.choice([0, 0, 0, 1, 2, 3, 255], size))
        full = maps.full()
        if len(labels):
            score, winner = full.max(0)
            value = torch.tensor([c + 1 for c in labels])[winner]
            likely = torch.from_numpy(rng.random(size)) < score
            truth = torch.where(likely & (truth != 255), value, truth)
        out.append((maps, truth))
    return out


def pixels(samples):
    """Score, class of the score and truth of all pixels in plain loops."""
    rows = []
    for maps, truth in samples:
        full = maps.full().numpy()
        for (y, x), true in np.ndenumerate(truth.numpy()):
            if true != 255:
                best = int(full[:, y, x].argmax()) if len(full) else 0
                rows.append((full[best, y, x] if len(full) else 0.,
                             maps.labels[best] + 1 if len(full) else 0, true))
    return map(np.asarray, zip(*rows))


def sweep_of(miou,
             fg=((9, 9, 9, 9, 9), (5, 5, 5, 5, 5)),
             bg=((9, 9, 9, 9, 9), (5, 5, 5, 5, 5)),
             refined=False):
    """A sweep with hand-made curves of (labelled, right)."""
    return ThresholdSweep(
        thresholds=threshold_grid(0., .1 * (len(miou) - 1), .1),
        means=dict(mIoU=np.array(miou, float)),
        foreground=LabelQuality(*map(np.array, fg), truth=100),
        background=LabelQuality(*map(np.array, bg), truth=100),
        num_images=1,
        source='irn' if refined else 'lpcam')


# --- one pass over the maps -----------------------------------------------


@pytest.mark.parametrize('source, normalization', [('cam', 'class'),
                                                   ('irn', 'image')])
def test_agrees_with_the_metric(tmp_path, source, normalization):
    samples = random_samples(source=source, normalization=normalization)
    file = tmp_path / 'scores.json'
    metric = CAMIoUMetric(out_file=str(file))
    metric.dataset_meta = dict(classes=CLASSES)
    for maps, truth in samples:
        metric.process(None, [
            dict(
                activation=dict(cam=maps.full()),
                img_labels=maps.labels,
                gt_sem_seg=dict(data=truth[None]),
                img_path='a.jpg')
        ])
    metric.evaluate(len(samples))
    expected = json.loads(file.read_text())
    sweep = sweep_thresholds(
        iter(samples), np.array(expected['thresholds']), len(CLASSES))
    assert sweep.num_images == 8 and sweep.is_refined is (source == 'irn')
    assert sweep.thresholds[sweep.best] == expected['maps']['cam']['bg_thr']
    for name, values in expected['maps']['cam']['grid'].items():
        np.testing.assert_array_equal(
            sweep.means[name], np.array(values, float), err_msg=name)


def test_labels_are_counted_over_all_pixels():
    samples = random_samples()
    sweep = sweep_thresholds(samples, GRID, len(CLASSES))
    score, value, truth = pixels(samples)
    for t, thr in enumerate(GRID):
        above = score > np.float32(thr)
        for quality, chosen, right in ((sweep.foreground, above,
                                        value == truth), (sweep.background,
                                                          ~above, truth == 0)):
            assert quality.labeled[t] == chosen.sum()
            assert quality.right[t] == (chosen & right).sum()
    assert sweep.foreground.truth == (truth > 0).sum()
    assert sweep.background.truth == (truth == 0).sum()


def test_percentages_by_hand():
    quality = LabelQuality(np.array([8, 4, 0]), np.array([6, 3, 0]), 12)
    np.testing.assert_array_equal(quality.precision, [75., 75., np.nan])
    np.testing.assert_array_equal(quality.recall, [50., 25., 0.])
    right, wrong = quality.kept(0)
    np.testing.assert_array_equal(right, [1, .5, 0])
    np.testing.assert_array_equal(wrong, [1, .5, 0])


def test_columns_have_one_number_per_threshold():
    columns = sweep_thresholds(random_samples(), GRID, len(CLASSES)).columns()
    assert list(columns) == [
        'threshold', 'mIoU', 'FP', 'FN', 'Precision', 'Recall', 'fg_precision',
        'fg_recall', 'bg_precision', 'bg_recall'
    ]
    assert {len(column) for column in columns.values()} == {len(GRID)}


def test_ignored_value():
    maps = ActivationMaps((0, ), [torch.ones(1, 2, 2)], (2, 2), (2, 2), 'cam')
    truth = torch.tensor([[1, 9], [0, 9]])
    sweep = sweep_thresholds([(maps, truth)], GRID, 2, ignore_index=9)
    assert sweep.foreground.labeled[0] == 2
    assert sweep.foreground.right[0] == sweep.foreground.truth == 1


def test_threshold_is_compared_in_the_precision_of_the_maps():
    """A tie is background, and 0.3 as float32 is larger than 0.3."""
    maps = ActivationMaps((0, ), [torch.tensor([[[1., .3]]])], (1, 2), (1, 2),
                          'lpcam')
    sweep = sweep_thresholds([(maps, torch.ones(1, 2).long())], GRID, 2)
    assert sweep.foreground.labeled.tolist() == [2] * 3 + [1] * 7 + [0]


# --- thresholds that follow -----------------------------------------------


def test_suggestions_by_hand():
    sweep = sweep_of(
        [20, 50, 40, 30, 10],
        # from .1 on, right kept - wrong kept: 0, 8/8 - 2/4, 4/8, 1/8
        fg=((30, 12, 10, 4, 1), (15, 8, 8, 4, 1)),
        # up to .1: 5/10 - 0, 0
        bg=((5, 14, 20, 30, 40), (5, 10, 12, 14, 15)))
    assert sweep.suggest() == dict(bg_thr=1, ir_fg_thr=2, ir_bg_thr=0)


def test_equal_thresholds_label_as_much_as_possible():
    """Nothing to gain, and twice the same gain."""
    assert sweep_of([20, 50, 60, 30, 10]).suggest() == dict(
        bg_thr=2, ir_fg_thr=2, ir_bg_thr=2)
    gains = ((9, 8, 8, 6, 6), (4, 4, 4, 4, 4))
    assert sweep_of([50, 40, 30, 20, 10], fg=gains).suggest()['ir_fg_thr'] == 3
    assert sweep_of([1, 2, 3, 4, 5],
                    bg=tuple(side[::-1]
                             for side in gains)).suggest()['ir_bg_thr'] == 1


def test_best_is_the_first_among_equals():
    assert sweep_of([20, 50, 50, 30, 10]).best == 1


@pytest.mark.filterwarnings('error')
def test_perfect_maps_need_no_gap():
    right = (9, 8, 7, 6, 5)
    sweep = sweep_of([9, 99, 9, 9, 9],
                     fg=(right, right),
                     bg=(right[::-1], right[::-1]))
    assert set(sweep.suggest().values()) == {1}


@pytest.mark.filterwarnings('error')
def test_no_foreground_at_all():
    none = (0, 0, 0, 0, 0)
    sweep = sweep_of([9, 9, 9, 9, 9], fg=(none, none))
    assert sweep.suggest()['ir_fg_thr'] == 0
    assert np.isnan(sweep.foreground.precision).all()


@pytest.mark.parametrize('seed', range(4))
def test_confident_thresholds_are_those_of_a_roc_curve(seed):
    """scikit-learn tells right labels of the mask from wrong ones."""
    samples = random_samples(12, seed)
    grid = threshold_grid(0., .99, .01)
    sweep = sweep_thresholds(samples, grid, len(CLASSES))
    score, value, truth = pixels(samples)
    thr = np.float32(grid)
    bins = np.searchsorted(thr, score)  # thresholds below the score
    found = sweep.suggest()
    best = found['bg_thr']
    assert found['ir_bg_thr'] <= best <= found['ir_fg_thr']
    above = score > thr[best]
    for name, chosen, right, sign, quality in (('ir_fg_thr', above,
                                                value == truth, 1,
                                                sweep.foreground),
                                               ('ir_bg_thr', ~above,
                                                truth == 0, -1,
                                                sweep.background)):
        false, true, _ = roc_curve(right[chosen], sign * bins[chosen])
        kept, wrong = (share[found[name]] for share in quality.kept(best))
        assert kept - wrong == pytest.approx((true - false).max())
        assert kept - wrong > .05  # the maps do tell something


def test_scores_with_confident_labels_beat_the_average():
    """What the rule means: labels at a kept score are better than most."""
    sweep = sweep_thresholds(random_samples(40), GRID, len(CLASSES))
    best, thr = (sweep.suggest()[key] for key in ('bg_thr', 'ir_fg_thr'))
    right, labeled = sweep.foreground.right, sweep.foreground.labeled
    average = right[best] / labeled[best]
    assert thr > best

    def share(low, high):
        return ((right[low] - right[high]) / (labeled[low] - labeled[high]))

    assert all(share(t, thr) <= average for t in range(best, thr))
    assert all(share(thr, t) >= average for t in range(thr + 1, 10))


def test_refined_maps_get_a_mask_threshold():
    sweep = sweep_of([20, 50, 60, 30, 10], refined=True)
    assert sweep.suggest() == dict(bg_thr=2)
    assert sweep.rule_of_thumb() == {}


@pytest.mark.parametrize('best, expected', [(.3, (.45, .25)), (.02, (.17, 0)),
                                            (.95, (.99, .9))])
def test_rule_of_thumb(best, expected):
    """The distances of LPCAM, as far as the grid goes."""
    grid = threshold_grid(0, .99, .01)
    none = LabelQuality(np.zeros(100, int), np.zeros(100, int), 0)
    sweep = ThresholdSweep(grid, dict(mIoU=np.isclose(grid, best)), none, none,
                           1, False)
    found = sweep.rule_of_thumb()
    np.testing.assert_allclose(
        [grid[found['ir_fg_thr']], grid[found['ir_bg_thr']]], expected)


# --- files ----------------------------------------------------------------


def write_maps(folder, dataset, **changes):
    """Maps of all images of a dataset that loads masks."""
    for i, image_id in enumerate(dataset.image_ids):
        sample = dataset[i]['data_samples']
        size = tuple(sample.gt_sem_seg.data.shape[-2:])
        maps = torch.ones(len(sample.img_labels), 2, 2)
        ActivationMaps(
            **{
                **dict(
                    labels=sample.img_labels,
                    scales=[maps],
                    size=size,
                    extent=covered_size(size, 32),
                    source='cam'),
                **changes
            }).save(folder / 'maps' / f'{image_id}.npz')


def test_maps_are_found_from_both_folders(voc_mini, tmp_path):
    dataset = DATASETS.build(voc_mini.dataset(with_masks=True))
    write_maps(tmp_path / 'labels', dataset)
    for folder in (tmp_path / 'labels', str(tmp_path / 'labels' / 'maps')):
        found = find_maps(folder, dataset.image_ids)
        assert found == tmp_path / 'labels' / 'maps'
    for i, (maps, truth) in enumerate(load_scored_maps(dataset, found)):
        assert maps.labels == voc_mini.indices[i]
        assert maps.size == tuple(truth.shape) == voc_mini.sizes[i]
        assert truth.dtype == torch.int64


def test_missing_maps_are_named(tmp_path):
    (tmp_path / 'maps').mkdir()
    (tmp_path / 'maps' / '3.npz').touch()
    with pytest.raises(
            FileNotFoundError,
            match=r"8 of 9 images have no maps in .*maps: '0', '1', '2', '4', "
            r"'5' and 3 more\. Let the stage .*save_maps=True"):
        find_maps(tmp_path, [str(i) for i in range(9)])
    with pytest.raises(FileNotFoundError, match=r'no folder .*nowhere'):
        find_maps(tmp_path / 'nowhere', ['0'])


def test_dataset_without_masks(voc_mini, tmp_path):
    write_maps(tmp_path, DATASETS.build(voc_mini.dataset(with_masks=True)))
    dataset = DATASETS.build(voc_mini.dataset())
    with pytest.raises(ValueError, match=r'000001\.jpg has no true mask'):
        next(load_scored_maps(dataset, tmp_path / 'maps'))


def test_maps_of_another_size(voc_mini, tmp_path):
    dataset = DATASETS.build(voc_mini.dataset(with_masks=True))
    write_maps(tmp_path, dataset, size=(40, 48))
    with pytest.raises(
            ValueError,
            match=r'000001\.npz holds .* \(40, 48\) .* \(48, 40\)'):
        next(load_scored_maps(dataset, tmp_path / 'maps'))


# --- errors ---------------------------------------------------------------


def test_kinds_of_maps_are_not_mixed():
    samples = random_samples(3) + random_samples(1, source='irn')
    with pytest.raises(
            ValueError, match='several kinds .*3 are CAM, 1 are IRN: keep'):
        sweep_thresholds(samples, GRID, len(CLASSES))


def test_no_image():
    with pytest.raises(ValueError, match='the dataset is empty'):
        sweep_thresholds([], GRID, len(CLASSES))
