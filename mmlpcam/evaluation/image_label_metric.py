"""Scores of a classifier by image labels."""
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from mmlpcam.utils import user_errors, write_json
from mmlpcam.utils.names import listed

_NUM_SHUFFLES = 199
# fewer images cannot tell a poor classifier from bad luck
_MIN_IMAGES = 10
_ADVICE = (
    'What helps: a longer training (a higher max_epochs in classifier.py); '
    'weights of ImageNet (new_project --size mobile or base, not small); '
    'photos without the class that are otherwise alike; a tag for all that '
    'can be seen. Then train into another --work-dir. To have masks all the '
    'same, add --cfg-options stages.tags=None to the same command')


@METRICS.register_module()
class ImageLabelMetric(BaseMetric):
    """Score image labels that a classifier has not learnt from.

    For each class: average precision, and precision, recall and F1 of what
    the classifier finds with a probability above 0.5 (scikit-learn). A class
    that is on none or all of the images has no average precision; means are
    over the others.

    Whether the classifier has learnt anything is found by a permutation
    test: the mean AP is compared to those with the labels shuffled among the
    images. The p-value is the share of 199 seeded shuffles, and the true
    order, that score as high.

    Args:
        max_p_value (float): Above it, the classifier has found nothing, and
            the run stops; 1 never stops it. With fewer than ten images there
            is a warning instead. Defaults to 0.2.
        out_file (str, optional): JSON file for all scores. Defaults to None.
        collect_device (str): 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metric names. Defaults to None.

    Raises:
        ValueError: If `max_p_value` is not in (0, 1].
    """
    default_prefix = 'tags'

    def __init__(self,
                 max_p_value: float = 0.2,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not 0 < max_p_value <= 1:
            raise ValueError(f'`max_p_value` must lie in (0, 1], but is '
                             f'{max_p_value}')
        self.max_p_value = max_p_value
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note scores and labels of a batch.

        Args:
            data_batch (Any): Not needed.
            data_samples (Sequence[dict]): Samples with ``img_labels`` and
                ``img_scores``, as :class:`~mmlpcam.engine.ImageLabelLoop`
                makes them.
        """
        for sample in data_samples:
            scores = np.asarray(sample['img_scores'])
            truth = np.zeros(len(scores), bool)
            truth[list(sample['img_labels'])] = True
            self.results.append((truth, scores))

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the scores, and stop where nothing was found.

        Args:
            size (int): Number of images.

        Returns:
            dict[str, float]: See :meth:`compute_metrics`.

        Raises:
            ValueError: If the p-value is above ``max_p_value``.
        """
        # all ranks have the metrics of the first
        metrics = super().evaluate(size)
        p_value = metrics.get(f'{self.prefix}/p_value', 0.)
        if p_value <= self.max_p_value:
            return metrics
        message = (
            f'the classifier found nothing: it ranks the {size} photos that '
            'it has not seen no better by their tags than by shuffled ones '
            f'(mean AP {metrics[f"{self.prefix}/mAP"]:.1f}, shuffled '
            f'{metrics[f"{self.prefix}/chance"]:.1f})')
        if size < _MIN_IMAGES:
            print_log(
                f'{message}; but these are too few to be sure',
                logger='current',
                level=logging.WARNING)
            return metrics
        with user_errors():
            raise ValueError(f'{message}. Its masks would be chance. '
                             f'{_ADVICE}')

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score each class, print the table and return the means.

        Args:
            results (list): Truth (C, ) bool and scores (C, ) float of each
                image.

        Returns:
            dict[str, float]: 'mAP', 'chance' (that of shuffled labels) and
            'mF1' in percent, and 'p_value'; without the first two and the
            last where no class can be ranked.
        """
        # takes longer to import than all of this package
        from sklearn.metrics import precision_recall_fscore_support

        classes = self.dataset_meta['classes'][1:]
        truth, scores = map(np.stack, zip(*results))
        counts = truth.sum(0)
        ranked = (counts > 0) & (counts < len(truth))
        precision, recall, f1 = np.array([
            precision_recall_fscore_support(
                truth[:, i],
                scores[:, i] > 0.5,
                average='binary',
                zero_division=0)[:3] for i in range(len(classes))
        ]).T
        ap = np.full(len(classes), np.nan)
        ap[ranked] = _average_precision(truth, scores, ranked)
        metrics = dict(mF1=100 *
                       float(f1[counts > 0].mean()) if counts.any() else 0.)
        if ranked.any():
            metrics.update(_permutation_test(truth, scores, ranked))
        rows = {
            name:
            dict(
                photos=int(counts[i]),
                AP=round(100 * float(ap[i]), 1) if ranked[i] else None,
                chance=round(100 * float(counts[i]) / len(truth), 1),
                precision=round(100 * float(precision[i]), 1),
                recall=round(100 * float(recall[i]), 1),
                F1=round(100 * float(f1[i]), 1))
            for i, name in enumerate(classes)
        }
        found = dict(photos=len(truth), metrics=metrics, classes=rows)
        print_log(
            f'the classifier on {len(truth)} photos that it has not seen, by '
            'their tags (chance: AP of a random order):\n'
            f'{image_label_table(found)}',
            logger='current')
        _warn_of_weak(rows)
        if self.out_file:
            write_json(self.out_file, found)
        return metrics


def _average_precision(truth: np.ndarray, scores: np.ndarray,
                       ranked: np.ndarray) -> np.ndarray:
    """Return the AP in [0, 1] of the classes that can be ranked."""
    # takes longer to import than all of this package
    from sklearn.metrics import average_precision_score

    return np.array([
        average_precision_score(truth[:, i], scores[:, i])
        for i in np.flatnonzero(ranked)
    ])


def _permutation_test(truth: np.ndarray, scores: np.ndarray,
                      ranked: np.ndarray) -> dict[str, float]:
    """Compare the mean AP to those of labels shuffled among the images."""
    mean = _average_precision(truth, scores, ranked).mean()
    rng = np.random.default_rng(0)
    shuffled = np.array([
        _average_precision(rng.permutation(truth), scores, ranked).mean()
        for _ in range(_NUM_SHUFFLES)
    ])
    return dict(
        mAP=100 * float(mean),
        chance=100 * float(shuffled.mean()),
        p_value=float((1 + (shuffled >= mean).sum()) / (1 + _NUM_SHUFFLES)))


def image_label_table(scores: dict) -> PrettyTable:
    """Make a table of scores by image labels.

    Args:
        scores (dict): What :class:`ImageLabelMetric` writes to its file.

    Returns:
        PrettyTable: A row for each class, and the means.
    """
    columns = ['photos', 'AP', 'chance', 'precision', 'recall', 'F1']
    table = PrettyTable(['class', *columns])
    table.align = 'r'
    table.align['class'] = 'l'
    for name, row in scores['classes'].items():
        table.add_row([
            name, *('-' if row[key] is None else row[key] for key in columns)
        ])
    means = [
        f'{scores["metrics"][key]:.1f}' if key in scores['metrics'] else '-'
        for key in ('mAP', 'chance', 'mF1')
    ]
    table.add_row(['mean', '', *means[:2], '', '', means[2]])
    return table


def _warn_of_weak(rows: dict[str, dict]) -> None:
    """Name the classes that are not learnt, and what helps."""
    weak = [
        name for name, row in rows.items()
        if row['AP'] is not None and row['AP'] < 1.2 * row['chance']
    ]
    if weak:
        print_log(
            f'{listed(weak)}: hardly better than chance, so these masks will '
            'be poor: more photos with and without them help, and a look at '
            'whether each photo that shows them has the tag',
            logger='current',
            level=logging.WARNING)
    unsure = [
        name for name, row in rows.items()
        if name not in weak and row['AP'] is not None and not row['F1']
    ]
    if unsure:
        print_log(
            f'{listed(unsure)}: never found with a probability above 0.5; '
            'a higher max_epochs of the classifier makes it surer. Masks of '
            'photos with tags do not need it',
            logger='current',
            level=logging.WARNING)
