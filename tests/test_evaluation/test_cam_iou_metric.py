import json
import math

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from mmlpcam.evaluation import (AreaCounts, CAMIoUMetric, count_areas,
                                threshold_scores)

CLASSES = ('background', 'cat', 'dog', 'bird')
NAMES = ('IoU', 'FP', 'FN', 'Precision', 'Recall')


def sample(truth, labels, **maps):
    """A prediction as the evaluator hands it on."""
    truth = torch.as_tensor(truth)
    return dict(
        activation={
            k: torch.as_tensor(v)
            for k, v in maps.items()
        },
        img_labels=labels,
        gt_sem_seg=dict(data=truth[None]),
        img_path='a.jpg')


def random_samples(num=4, seed=0, steps=10):
    """Maps on a grid of tenths, so that ties with thresholds are common."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(num):
        height, width = rng.integers(3, 9, 2)
        truth = rng.choice([0, 0, 1, 2, 3, 255], (height, width))
        labels = [(1, 2), (0, ), (), (0, 1, 2)][i % 4]
        maps = rng.integers(0, steps + 1, (len(labels), height, width)) / steps
        out.append(sample(truth, labels, cam=maps.astype(np.float32)))
    return out


def naive_confusion(samples, thr, map_type='cam', num_classes=4):
    """Pixel by pixel: rows are the truth, columns the prediction."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for one in samples:
        maps = one['activation'][map_type].numpy()
        truth = one['gt_sem_seg']['data'][0].numpy()
        for (y, x), true in np.ndenumerate(truth):
            if true == 255:
                continue
            planes = [np.float32(thr), *maps[:, y, x]]
            best = planes.index(max(planes))  # the first wins
            matrix[true, (0, *(c + 1 for c in one['img_labels']))[best]] += 1
    return matrix


def scores_of(matrix):
    hit = np.diag(matrix).astype(float)
    truth, predicted = matrix.sum(1), matrix.sum(0)
    union = truth + predicted - hit
    with np.errstate(invalid='ignore', divide='ignore'):
        return dict(
            IoU=hit / union,
            FP=(predicted - hit) / union,
            FN=(truth - hit) / union,
            Precision=hit / predicted,
            Recall=hit / truth)


def metric(classes=CLASSES, **kwargs):
    made = CAMIoUMetric(**{**dict(thresholds=(0., 1., .1)), **kwargs})
    made.dataset_meta = dict(classes=classes)
    return made


def evaluate(made, samples, batch_size=1):
    for i in range(0, len(samples), batch_size):
        made.process(None, samples[i:i + batch_size])
    return made.evaluate(len(samples))


# --- the grid -------------------------------------------------------------


@pytest.mark.parametrize('seed', range(4))
def test_grid_equals_naive_confusion_matrices(seed):
    samples = random_samples(8, seed)
    thresholds = torch.arange(11) / 10
    counts = [
        count_areas(one['activation']['cam'], one['img_labels'],
                    one['gt_sem_seg']['data'][0], thresholds, 4, 255)
        for one in samples
    ]
    scores = threshold_scores(counts, 4)
    for t, thr in enumerate(thresholds.numpy()):
        expected = scores_of(naive_confusion(samples, thr))
        for name in NAMES:
            np.testing.assert_allclose(
                scores[name][t], expected[name], err_msg=f'{name} at {thr}')


def test_tie_with_the_threshold_is_background():
    maps = torch.tensor([[[.2, .3, .4]]])
    truth = torch.tensor([[1, 1, 1]])
    counts = count_areas(maps, (0, ), truth, torch.tensor([.1, .2, .3, .4]), 2,
                         255)
    # foreground at 1, 2 and 3 thresholds
    assert counts.predicted.tolist() == [[0, 1, 1, 1, 0]]
    assert counts.correct.tolist() == [[0, 1, 1, 1, 0]]
    assert counts.background.tolist() == [0] * 5
    assert counts.truth.tolist() == [0, 3]
    recall = threshold_scores([counts], 2)['Recall'][:, 1]
    np.testing.assert_allclose(recall, [1, 2 / 3, 1 / 3, 0])


def test_tie_between_classes_goes_to_the_first():
    maps = torch.tensor([[[.5]], [[.5]]])
    counts = count_areas(maps, (0, 2), torch.tensor([[3]]), torch.tensor([.1]),
                         4, 255)
    assert counts.labels.tolist() == [1, 3]
    assert counts.predicted.tolist() == [[0, 1], [0, 0]]
    assert counts.correct.tolist() == [[0, 0], [0, 0]]


def test_counts_of_an_image_without_labels():
    counts = count_areas(
        torch.zeros(0, 2, 2), (), torch.tensor([[0, 2], [0, 255]]),
        torch.tensor([.1, .2]), 3, 255)
    assert counts.labels.shape == (0, )
    assert counts.predicted.shape == counts.correct.shape == (0, 3)
    assert counts.background.tolist() == [2, 0, 0]
    assert counts.truth.tolist() == [2, 0, 1]


def test_counts_where_all_is_ignored():
    counts = count_areas(
        torch.ones(1, 2, 2), (1, ), torch.full((2, 2), 255),
        torch.tensor([.1]), 3, 255)
    assert not counts.predicted.any() and not counts.background.any()
    assert counts.truth.tolist() == [0, 0, 0]


def test_other_ignore_index():
    truth = torch.tensor([[1, 9]])
    counts = count_areas(
        torch.ones(1, 1, 2), (0, ), truth, torch.tensor([.1]), 2, 9)
    assert counts.truth.tolist() == [0, 1]
    assert counts.predicted.tolist() == [[0, 1]]


def test_by_hand():
    """2 x 4 pixels at threshold .5.

    Truth 0 0 1 1 / 1 2 2 ignored, prediction 0 1 1 0 / 1 1 2 2.
    """
    truth = [[0, 0, 1, 1], [1, 2, 2, 255]]
    maps = np.float32([[[.1, .9, .8, .5], [.6, .7, .2, .1]],
                       [[.2, .1, .1, .2], [.1, .6, .9, .9]]])
    made = metric(CLASSES[:3], thresholds=(.5, .5, .1))
    values = evaluate(made, [sample(truth, (0, 1), cam=maps)])
    # background: hit 1, union 3; cat: hit 2, union 5; dog: hit 1, union 2
    assert values == {
        'seed/cam/mIoU': round(100 * (1 / 3 + 2 / 5 + 1 / 2) / 3, 2),
        'seed/cam/FP': 100 * (2 / 5 + 0) / 2,
        'seed/cam/FN': 100 * (1 / 5 + 1 / 2) / 2,
        'seed/cam/Precision': round(100 * (1 / 2 + 2 / 4 + 1) / 3, 2),
        'seed/cam/Recall': round(100 * (1 / 2 + 2 / 3 + 1 / 2) / 3, 2),
        'seed/cam/thr': .5
    }


def test_shares_add_up():
    counts = []
    for one in random_samples(4):
        counts.append(
            count_areas(one['activation']['cam'], one['img_labels'],
                        one['gt_sem_seg']['data'][0],
                        torch.arange(11) / 10, 4, 255))
    scores = threshold_scores(counts, 4)
    np.testing.assert_allclose(scores['IoU'] + scores['FP'] + scores['FN'], 1)


# --- the metric -----------------------------------------------------------


@pytest.mark.parametrize('thr', [0., .3, .7])
def test_agrees_with_mmseg(thr):
    samples = random_samples(8)
    ours = evaluate(metric(score_thr=thr), samples)
    theirs = IoUMetric(iou_metrics=['mIoU', 'mFscore'])
    theirs.dataset_meta = dict(classes=CLASSES)
    for one in samples:
        maps = one['activation']['cam']
        planes = torch.zeros(4, *maps.shape[1:])
        planes[0] = thr
        planes[[c + 1 for c in one['img_labels']]] = maps
        theirs.process(None, [
            dict(
                pred_sem_seg=dict(data=planes.argmax(0, keepdim=True)),
                gt_sem_seg=one['gt_sem_seg'])
        ])
    expected = theirs.evaluate(len(samples))
    for key, name in [('mIoU', 'mIoU'), ('Precision', 'mPrecision'),
                      ('Recall', 'mRecall')]:
        assert ours[f'seed/cam/{key}'] == pytest.approx(
            expected[name], abs=.011)
    assert ours['seed/cam/thr'] == thr


def test_best_threshold_is_that_of_the_naive_grid():
    samples = random_samples(8)
    grid = [
        np.nanmean(scores_of(naive_confusion(samples, k / 10))['IoU'])
        for k in range(11)
    ]
    values = evaluate(metric(), samples)
    assert values['seed/cam/thr'] == pytest.approx(np.argmax(grid) / 10)
    assert values['seed/cam/mIoU'] == pytest.approx(100 * max(grid), abs=.006)
    worse = evaluate(metric(score_thr=1.), samples)
    assert worse['seed/cam/mIoU'] == pytest.approx(100 * grid[10], abs=.006)


def test_batches_and_order_change_nothing():
    samples = random_samples(8)
    expected = evaluate(metric(), samples)
    assert evaluate(metric(), samples, batch_size=3) == expected
    assert evaluate(metric(), samples[::-1]) == expected


def test_sums_are_over_pixels_not_over_images():
    """A large image counts more than a small one."""
    samples = [
        sample(np.ones((1, 9), int), (0, ), cam=np.ones((1, 1, 9), 'f')),
        sample(np.ones((1, 1), int), (0, ), cam=np.zeros((1, 1, 1), 'f'))
    ]
    values = evaluate(metric(CLASSES[:2], score_thr=.5), samples)
    assert values['seed/cam/Recall'] == 90.


def test_map_types_are_scored_side_by_side():
    one, two = random_samples(8, 0), random_samples(8, 0)
    for a, b in zip(one, two):
        b['activation'] = dict(
            lpcam=1 - a['activation']['cam'], cam=a['activation']['cam'])
    values = evaluate(metric(), two)
    assert {key.split('/')[1] for key in values} == {'cam', 'lpcam'}
    cam = evaluate(metric(), one)
    assert {k: v for k, v in values.items() if '/cam/' in k} == cam
    for a in one:
        a['activation']['lpcam'] = 1 - a['activation'].pop('cam')
    assert {
        k: v
        for k, v in values.items() if 'lpcam' in k
    } == evaluate(metric(), one)


def test_class_that_never_occurs_is_left_out(tmp_path):
    truth = [[0, 1], [1, 0]]
    maps = np.float32([[[0, 1], [1, 0]]])
    file = tmp_path / 'scores.json'
    values = evaluate(
        metric(score_thr=.5, out_file=str(file)),
        [sample(truth, (0, ), cam=maps)])
    assert values['seed/cam/mIoU'] == 100.
    assert values['seed/cam/FP'] == values['seed/cam/FN'] == 0.
    assert values['seed/cam/Recall'] == values['seed/cam/Precision'] == 100.
    per_class = json.loads(file.read_text())['maps']['cam']['class_IoU']
    assert per_class == dict(background=100., cat=100., dog=None, bird=None)


def test_class_that_is_only_predicted_counts_as_zero():
    maps = np.float32([[[0, 1]]])
    values = evaluate(
        metric(CLASSES[:2], score_thr=.5), [sample([[0, 0]], (0, ), cam=maps)])
    assert values['seed/cam/mIoU'] == 25.  # background 1/2, cat 0
    assert values['seed/cam/FP'] == 100.


@pytest.mark.filterwarnings('error')
def test_images_without_any_foreground():
    """No warning; a mean over nothing is no number."""
    empty = np.zeros((0, 2, 2), np.float32)
    values = evaluate(metric(), [sample(np.zeros((2, 2), int), (), cam=empty)])
    assert values['seed/cam/mIoU'] == 100.
    assert math.isnan(values['seed/cam/FP'])


def test_threshold_is_compared_in_the_precision_of_the_maps():
    """0.3 as float32 is larger than 0.3."""
    maps = torch.full((1, 1, 1), .3)
    values = evaluate(
        metric(CLASSES[:2], score_thr=.3), [sample([[1]], (0, ), cam=maps)])
    assert values['seed/cam/Recall'] == 0.


def test_out_file(tmp_path):
    file = tmp_path / 'new' / 'scores.json'
    samples = random_samples(4)
    values = evaluate(metric(out_file=str(file), split='train'), samples)
    content = json.loads(file.read_text())
    assert content['split'] == 'train' and content['tuned_on_split'] is True
    assert content['num_images'] == 4
    assert content['thresholds'] == [k / 10 for k in range(11)]
    report = content['maps']['cam']
    assert report['bg_thr'] == values['seed/cam/thr']
    for name in ('mIoU', 'FP', 'FN', 'Precision', 'Recall'):
        assert report[name] == values[f'seed/cam/{name}']
        pick = round(10 * report['bg_thr'])
        assert report['grid'][name][pick] == report[name]
        assert len(report['grid'][name]) == 11
    assert list(report['class_IoU']) == sorted(CLASSES)
    assert np.mean(list(report['class_IoU'].values())) == pytest.approx(
        report['mIoU'], abs=.02)
    evaluate(metric(out_file=str(file), score_thr=.2), samples)
    content = json.loads(file.read_text())
    assert content['tuned_on_split'] is False
    assert content['maps']['cam']['bg_thr'] == .2


def test_report_is_strict_json(tmp_path):
    """NaN is no JSON: other readers refuse such a file."""
    file = tmp_path / 'scores.json'
    empty = np.zeros((0, 2, 2), np.float32)
    evaluate(
        metric(out_file=str(file)),
        [sample(np.zeros((2, 2), int), (), cam=empty)])

    def refuse(name):
        raise ValueError(f'{name} is no JSON')

    json.loads(file.read_text(), parse_constant=refuse)


def test_report_names_the_split(monkeypatch):
    lines = []
    monkeypatch.setattr('mmlpcam.evaluation.cam_iou_metric.print_log',
                        lambda text, **kwargs: lines.append(text))
    evaluate(metric(split='VOC train'), random_samples(4))
    evaluate(metric(split='VOC train', score_thr=.2), random_samples(4))
    assert 'tuned with the masks of VOC train' in lines[0]
    assert 'at bg_thr 0.2 on VOC train' in lines[1]
    assert all('CAM IoU' in line and 'bird' in line for line in lines)


def test_report_does_not_depend_on_the_order_of_the_maps(monkeypatch):
    """PixelData keeps its fields in a set: any order, another each run."""
    lines = []
    monkeypatch.setattr('mmlpcam.evaluation.cam_iou_metric.print_log',
                        lambda text, **kwargs: lines.append(text))
    maps = dict(
        cam=np.float32([[[0, 1]]]),
        lpcam_f=np.float32([[[.4, 0]]]),
        lpcam=np.float32([[[1, 1]]]),
        own=np.float32([[[.3, 1]]]))
    for order in (tuple(maps), ('lpcam', 'own', 'cam', 'lpcam_f')):
        evaluate(
            metric(CLASSES[:2]),
            [sample([[0, 1]], (0, ), **{kind: maps[kind]
                                        for kind in order})])
    half = len(lines) // 2
    assert half and lines[:half] == lines[half:]


def test_best_threshold_at_the_end_of_the_grid_is_told(monkeypatch):
    lines = []
    monkeypatch.setattr('mmlpcam.evaluation.cam_iou_metric.print_log',
                        lambda text, **kwargs: lines.append(text))
    truth = sample([[0, 1]], (0, ), cam=np.float32([[[.7, .9]]]))
    for stop, told in ((0.5, True), (1.0, False)):
        lines.clear()
        made = METRICS.build(
            dict(type='CAMIoUMetric', thresholds=(0., stop, 0.1)))
        made.dataset_meta = dict(classes=CLASSES[:2])
        evaluate(made, [truth])
        found = any('CAM lies at the end of the grid' in x for x in lines)
        assert found == told


def test_default_grid():
    made = METRICS.build(dict(type='CAMIoUMetric'))
    assert made.thresholds.tolist() == [k / 100 for k in range(100)]
    assert made.score_thr == 'best'


# --- errors ---------------------------------------------------------------


@pytest.mark.parametrize('value', [4, 254])
def test_mask_with_a_class_out_of_range(value):
    with pytest.raises(
            ValueError, match=f'holds class {value}, .* only 4 classes'):
        metric().process(
            None, [sample([[0, value]], (0, ), cam=np.zeros((1, 1, 2), 'f'))])


def test_mask_with_a_class_out_of_range_without_labels():
    with pytest.raises(ValueError, match='holds class 4'):
        metric().process(None,
                         [sample([[0, 4]], (), cam=np.zeros((0, 1, 2), 'f'))])


def test_no_mask():
    with pytest.raises(KeyError, match=r'a\.jpg has no true mask: add'):
        metric().process(None, [dict(img_path='a.jpg')])


@pytest.mark.parametrize('thr', [.35, 1.1, -.1])
def test_score_thr_off_the_grid(thr):
    with pytest.raises(
            ValueError,
            match=rf'`score_thr` {thr} is not on the grid from 0.0 to 1.0'):
        metric(score_thr=thr)


@pytest.mark.parametrize('grid', [(-.1, .5, .1), (.5, .4, .1), (0., .5, 0.),
                                  (0., .5, -.1)])
def test_bad_grid(grid):
    with pytest.raises(ValueError, match=r'\(start, stop, step\) with'):
        CAMIoUMetric(thresholds=grid)


def test_empty_dataset():
    with pytest.raises(ValueError, match='the dataset is empty'):
        metric().compute_metrics([])


@pytest.mark.parametrize('rank, kept', [(0, 3), (1, 2)])
def test_a_process_keeps_sums_and_leaves_out_repeated_images(
        rank, kept, monkeypatch):
    """5 images on two processes: the second one ends with one it repeats."""
    made, sent = metric(), []
    for one in random_samples(3):
        made.process({}, [one])
        assert not made.results
    monkeypatch.setattr('mmlpcam.evaluation.cam_iou_metric.get_dist_info',
                        lambda: (rank, 2))
    monkeypatch.setattr(made, 'compute_metrics',
                        lambda results: sent.extend(results) or {})
    made.evaluate(5)
    (number, sums), = sent
    expected = [one['gt_sem_seg']['data'] for one in random_samples(3)[:kept]]
    assert number == kept
    pixels = sum(int((truth != 255).sum()) for truth in expected)
    assert AreaCounts(*sums['cam']).truth.sum() == pixels
    assert made._num_images == 0 and not made._sums  # ready for the next pass
