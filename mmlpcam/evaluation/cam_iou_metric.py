"""Scores of activation maps over a grid of background thresholds."""
import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable
from torch import Tensor

from mmlpcam.structures import map_title, sort_map_types
from mmlpcam.utils import write_json


class AreaCounts(NamedTuple):
    """Pixel counts of one image, or sums over images.

    T thresholds cut the scores into T + 1 bins; bin b holds the pixels that
    are foreground at the first b thresholds.

    Attributes:
        labels (np.ndarray): (n, ) mask values of the mapped classes.
        predicted (np.ndarray): (n, T + 1) pixels that prefer the class.
        correct (np.ndarray): (n, T + 1) those of them that are the class.
        background (np.ndarray): (T + 1, ) pixels that are background.
        truth (np.ndarray): (C + 1, ) pixels of each class in the mask.
    """
    labels: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    background: np.ndarray
    truth: np.ndarray


def count_areas(maps: Tensor, labels: Sequence[int], truth: Tensor,
                thresholds: Tensor, num_classes: int,
                ignore_index: int) -> AreaCounts:
    """Count what all thresholds need in one pass over the pixels.

    Args:
        maps (Tensor): Maps of the n mapped classes, (n, H, W), in [0, 1].
        labels (Sequence[int]): Their 0-based foreground classes.
        truth (Tensor): True mask (H, W), int64, 0 is background.
        thresholds (Tensor): Ascending background scores, (T, ).
        num_classes (int): Number of classes with the background.
        ignore_index (int): Mask value that is not scored.

    Returns:
        AreaCounts: Counts of this image.

    Raises:
        ValueError: If the mask has another size than the maps, or holds a
            value that is no class.
    """
    if maps.shape[-2:] != truth.shape:
        raise ValueError(
            f'the mask is {tuple(truth.shape)}, but the image is '
            f'{tuple(maps.shape[-2:])} (H, W): masks must have the size of '
            'the original image')
    scored = truth != ignore_index
    truth = truth[scored]
    num_bins = len(thresholds) + 1
    if len(labels):
        # ties go to the lower class, and to the background before that
        score, winner = maps[:, scored].max(0)
        bins = torch.bucketize(score, thresholds)
    else:
        winner = bins = torch.zeros_like(truth)

    def histogram(rows: Tensor, keep: Tensor, num_rows: int) -> np.ndarray:
        index = rows[keep] * num_bins + bins[keep]
        return torch.bincount(
            index, minlength=num_rows * num_bins).view(num_rows,
                                                       num_bins).cpu().numpy()

    if len(labels):
        values = torch.tensor([c + 1 for c in labels], device=truth.device)
        everywhere = torch.ones_like(truth, dtype=torch.bool)
        predicted = histogram(winner, everywhere, len(labels))
        correct = histogram(winner, values[winner] == truth, len(labels))
        values = values.cpu().numpy()
    else:
        predicted = correct = np.zeros((0, num_bins), np.int64)
        values = np.zeros(0, np.int64)
    background = histogram(torch.zeros_like(truth), truth == 0, 1)[0]
    if len(truth) and int(truth.max()) >= num_classes:
        raise ValueError(
            f'the mask holds class {int(truth.max())}, but there are only '
            f'{num_classes} classes with the background (and {ignore_index} '
            'is ignored)')
    return AreaCounts(
        values, predicted, correct, background,
        torch.bincount(truth, minlength=num_classes).cpu().numpy())


def sum_areas(counts: Iterable[AreaCounts], num_classes: int) -> AreaCounts:
    """Add up the counts of images.

    Args:
        counts (Iterable[AreaCounts]): Counts of images. They are taken one
            by one, so that a generator needs no memory for all of them.
        num_classes (int): Number of classes with the background.

    Returns:
        AreaCounts: Sums, with a row for each class; that of the background
        is zero.

    Raises:
        ValueError: If there are no counts.
    """
    total = None
    for image in counts:
        if total is None:
            shape = (num_classes, len(image.background))
            total = AreaCounts(
                np.arange(num_classes), *np.zeros((2, *shape), np.int64),
                np.zeros(shape[1], np.int64), np.zeros(num_classes, np.int64))
        total.predicted[image.labels] += image.predicted
        total.correct[image.labels] += image.correct
        total.background[:] += image.background
        total.truth[:] += image.truth
    if total is None:
        raise ValueError('no image was scored: the dataset is empty')
    return total


def above_thresholds(bins: np.ndarray) -> np.ndarray:
    """Count the pixels that are foreground at each threshold.

    Args:
        bins (np.ndarray): Pixels in each bin of :class:`AreaCounts`,
            (..., T + 1).

    Returns:
        np.ndarray: Pixels in all bins above each threshold, (..., T).
    """
    return bins[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]


def threshold_scores(counts: Iterable[AreaCounts],
                     num_classes: int) -> dict[str, np.ndarray]:
    """Turn counts into scores at each threshold.

    Args:
        counts (Iterable[AreaCounts]): Counts of all images.
        num_classes (int): Number of classes with the background.

    Returns:
        dict[str, np.ndarray]: float64 shares in [0, 1] of shape (T, C + 1):
        'IoU', 'FP' and 'FN' (false positives and negatives as shares of the
        union of prediction and truth, as in Table 1 of the LPCAM paper),
        'Precision' and 'Recall'. NaN where a class neither occurs nor is
        predicted.
    """
    _, predicted, correct, background, truth = sum_areas(counts, num_classes)
    all_pixels = truth.sum()
    predicted = above_thresholds(predicted)
    correct = above_thresholds(correct)
    predicted[0] = all_pixels - predicted[1:].sum(0)
    correct[0] = background.cumsum()[:-1]
    predicted, correct = predicted.T, correct.T
    union = predicted + truth - correct
    with np.errstate(invalid='ignore', divide='ignore'):
        return dict(
            IoU=correct / union,
            FP=(predicted - correct) / union,
            FN=(truth - correct) / union,
            Precision=correct / predicted,
            Recall=correct / truth)


def mean_scores(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Average scores over the classes.

    Args:
        scores (dict[str, np.ndarray]): What :func:`threshold_scores` returns.

    Returns:
        dict[str, np.ndarray]: Percent of shape (T, ): 'mIoU', 'Precision'
        and 'Recall' over all classes with the background, 'FP' and 'FN' over
        the foreground classes. Classes without a number are left out; NaN
        where none has one.
    """
    return dict(
        mIoU=_mean(scores['IoU']),
        FP=_mean(scores['FP'][:, 1:]),
        FN=_mean(scores['FN'][:, 1:]),
        Precision=_mean(scores['Precision']),
        Recall=_mean(scores['Recall']))


def threshold_grid(start: float, stop: float, step: float) -> np.ndarray:
    """Make a grid of background thresholds.

    Args:
        start (float): First threshold, >= 0.
        stop (float): Last threshold, included.
        step (float): Distance between thresholds, > 0.

    Returns:
        np.ndarray: Thresholds, (T, ) float64, ascending.

    Raises:
        ValueError: If these make no grid.
    """
    if not 0 <= start <= stop or step <= 0:
        raise ValueError('expected `thresholds` (start, stop, step) with '
                         f'0 <= start <= stop, but got {(start, stop, step)}')
    num = int(round((stop - start) / step)) + 1
    return np.round(start + step * np.arange(num), 6)


@METRICS.register_module()
class CAMIoUMetric(BaseMetric):
    """Score maps against true masks at all background thresholds at once.

    mIoU, precision and recall are means over all classes with the
    background; FP and FN are means over the foreground classes. The LPCAM
    paper does not say so, but only this reading makes the rows of its
    Table 1 add up.

    The best threshold is chosen on the very images that are scored, with
    their masks: it is a comparison of maps, not a fair choice of a
    hyper-parameter, and the printed table says on which split it was made.

    Args:
        thresholds (tuple[float, float, float]): Grid of background scores
            as (start, stop, step). Defaults to (0, 0.99, 0.01).
        score_thr (float | str): Threshold of the reported numbers; 'best'
            takes the one with the highest mIoU for each map type. Defaults
            to 'best'.
        split (str): Name of the scored images, for the report. Defaults to
            'the scored split'.
        ignore_index (int): Mask value that is not scored. Defaults to 255.
        out_file (str, optional): JSON file for all scores. Defaults to None.
        collect_device (str): 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metric names. Defaults to None.
    """
    default_prefix = 'seed'

    def __init__(self,
                 thresholds: tuple[float, float, float] = (0., 0.99, 0.01),
                 score_thr: float | str = 'best',
                 split: str = 'the scored split',
                 ignore_index: int = 255,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        start, stop, step = thresholds
        self.thresholds = threshold_grid(start, stop, step)
        if score_thr != 'best':
            score_thr = float(score_thr)
            if not np.isclose(self.thresholds, score_thr).any():
                raise ValueError(
                    f'`score_thr` {score_thr} is not on the grid from {start} '
                    f'to {stop} in steps of {step}')
        self.score_thr = score_thr
        self.split = split
        self.ignore_index = ignore_index
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the areas of a batch.

        Args:
            data_batch (Any): Not needed.
            data_samples (Sequence[dict]): Predictions of
                :class:`CAMSegmentor` with ``gt_sem_seg``.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            if 'gt_sem_seg' not in sample:
                raise KeyError(
                    f'{sample.get("img_path")} has no true mask: add '
                    'LoadAnnotations to the pipeline, or take CAMIoUMetric '
                    'out of the evaluator')
            truth = sample['gt_sem_seg']['data'].squeeze(0)
            counts = {}
            for map_type, maps in sample['activation'].items():
                # the grid is compared in the precision of the maps
                thresholds = torch.as_tensor(
                    self.thresholds, dtype=maps.dtype, device=maps.device)
                try:
                    counts[map_type] = count_areas(maps, sample['img_labels'],
                                                   truth.to(maps.device),
                                                   thresholds, num_classes,
                                                   self.ignore_index)
                except ValueError as error:
                    raise ValueError(f'true mask of {sample.get("img_path")}: '
                                     f'{error}') from error
            self.results.append(counts)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Sum up, print the tables and return the scores.

        Args:
            results (list): Counts of all images.

        Returns:
            dict[str, float]: For each map type `m`: '`m`/mIoU', '`m`/FP',
            '`m`/FN', '`m`/Precision', '`m`/Recall' in percent and
            '`m`/thr'.
        """
        if not results:
            raise ValueError('no image was scored: the dataset is empty')
        classes = self.dataset_meta['classes']
        metrics, report = {}, {}
        summary = PrettyTable(
            ['map', 'bg_thr', 'mIoU', 'FP', 'FN', 'Precision', 'Recall'])
        per_class = PrettyTable()
        per_class.add_column('class', list(classes))
        # PixelData does not keep the order of its fields
        for map_type in sort_map_types(set(results[0])):
            # BaseMetric turns named tuples into plain ones
            counts = [AreaCounts(*image[map_type]) for image in results]
            scores = threshold_scores(counts, len(classes))
            means = mean_scores(scores)
            if self.score_thr == 'best':
                pick = int(means['mIoU'].argmax())
            else:
                pick = int(abs(self.thresholds - self.score_thr).argmin())
            name = map_title(map_type)
            if (self.score_thr == 'best'
                    and pick in (0, len(self.thresholds) - 1)):
                print_log(
                    f'the best threshold of {name} lies at the end of the '
                    'grid: widen `thresholds`',
                    logger='current',
                    level=logging.WARNING)
            row = {key: float(value[pick]) for key, value in means.items()}
            summary.add_row([name, f'{self.thresholds[pick]:.2f}'] +
                            [f'{value:.2f}' for value in row.values()])
            per_class.add_column(f'{name} IoU', _percent(scores['IoU'][pick]))
            metrics.update({
                f'{map_type}/{key}': value
                for key, value in row.items()
            })
            metrics[f'{map_type}/thr'] = float(self.thresholds[pick])
            report[map_type] = dict(
                bg_thr=float(self.thresholds[pick]),
                **{
                    key: _plain(value)[pick]
                    for key, value in means.items()
                },
                class_IoU=dict(zip(classes, _percent(scores['IoU'][pick]))),
                grid={
                    k: _plain(v)
                    for k, v in means.items()
                })
        how = ('each at its best threshold, tuned with the masks of '
               if self.score_thr == 'best' else
               f'at bg_thr {self.score_thr} on ') + self.split
        print_log(
            f'maps of {len(results)} images, {how}:\n{summary}\n{per_class}',
            logger='current')
        if self.out_file is not None:
            write_json(
                self.out_file,
                dict(
                    split=self.split,
                    tuned_on_split=self.score_thr == 'best',
                    num_images=len(results),
                    thresholds=self.thresholds.tolist(),
                    maps=report))
        return metrics


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes in percent, NaN where none has a number."""
    given = ~np.isnan(values)
    with np.errstate(invalid='ignore'):
        mean = np.where(given, values, 0).sum(1) / given.sum(1)
    return np.round(100 * mean, 2)


def _plain(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which knows no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]


def _percent(values: np.ndarray) -> list[float | None]:
    return [
        None if np.isnan(value) else round(100 * float(value), 2)
        for value in values
    ]
