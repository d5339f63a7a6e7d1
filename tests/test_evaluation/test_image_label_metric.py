"""Scores of a classifier by tags, against cases worked out by hand."""
import numpy as np
import pytest

from mmlpcam.evaluation import ImageLabelMetric
from mmlpcam.utils import read_json

CLASSES = ('background', 'cat', 'dog', 'bird')


def evaluate(labels, scores, **kwargs):
    metric = ImageLabelMetric(**kwargs)
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process(None, [
        dict(img_labels=present, img_scores=list(row))
        for present, row in zip(labels, scores)
    ])
    return metric.evaluate(len(labels))


def test_scores_of_four_photos(tmp_path):
    """Cat: ranks 1 and 3 of 4, one of two found; no bird, dog on all."""
    labels = [(0, 1), (1, ), (0, 1), (1, )]
    scores = [(.9, .9, .1), (.8, .9, .2), (.4, .2, .3), (.1, .9, .6)]
    out = tmp_path / 'scores.json'
    metrics = evaluate(labels, scores, out_file=str(out))
    found = read_json(out)
    assert found['photos'] == 4
    assert found['classes']['cat'] == dict(
        photos=2,
        AP=83.3,  # (1 / 1 + 2 / 3) / 2
        chance=50.0,
        precision=50.0,
        recall=50.0,
        F1=50.0)
    assert found['classes']['dog']['AP'] is None
    assert found['classes']['dog']['F1'] == 85.7  # 2 * 1 * .75 / 1.75
    assert found['classes']['bird'] == dict(
        photos=0, AP=None, chance=0.0, precision=0.0, recall=0.0, F1=0.0)
    assert metrics['tags/mAP'] == pytest.approx(100 * 5 / 6)
    assert metrics['tags/mF1'] == pytest.approx(100 * (1 / 2 + 6 / 7) / 2)
    # of the six orders of two cats, two rank as high: 1 2 and 1 3
    assert metrics['tags/p_value'] == pytest.approx(1 / 3, abs=0.1)
    assert found['metrics']['mAP'] == metrics['tags/mAP']


def test_order_of_photos_does_not_count():
    rng = np.random.default_rng(0)
    labels = [tuple(np.flatnonzero(row)) for row in rng.random((30, 3)) > .5]
    scores = rng.random((30, 3))
    order = rng.permutation(30)
    one = evaluate(labels, scores, max_p_value=1)
    other = evaluate([labels[i] for i in order], scores[order], max_p_value=1)
    assert one['tags/mAP'] == pytest.approx(other['tags/mAP'])
    # a random order has the AP of shuffled labels
    assert abs(one['tags/mAP'] - one['tags/chance']) < 15


def test_a_classifier_that_found_nothing_stops(caplog):
    labels = [(0, ) if i < 6 else (1, ) for i in range(12)]
    same = np.full((12, 3), .5)
    with pytest.raises(
            ValueError, match='found nothing.*max_epochs.*'
            'stages.tags=None'):
        evaluate(labels, same)
    assert evaluate(labels, same, max_p_value=1)['tags/p_value'] == 1
    # too few to be sure
    assert evaluate(labels[3:9], same[3:9])['tags/p_value'] == 1
    right = np.zeros((12, 3))
    right[range(12), [label for label, in labels]] = .4
    metrics = evaluate(labels, right)
    assert metrics['tags/mAP'] == 100
    assert metrics['tags/mF1'] == 0  # never above 0.5
    assert metrics['tags/p_value'] < 0.02


def test_no_class_can_be_ranked():
    metrics = evaluate([(1, )] * 3, np.full((3, 3), .9))
    assert metrics == {'tags/mF1': pytest.approx(100)}


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='max_p_value'):
        ImageLabelMetric(max_p_value=0)
