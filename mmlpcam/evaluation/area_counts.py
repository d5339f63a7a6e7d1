"""Pixel counts of maps and masks at all background thresholds at once."""
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


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
                thresholds: Tensor | np.ndarray, num_classes: int,
                ignore_index: int) -> AreaCounts:
    """Count what all thresholds need in one pass over the pixels.

    Args:
        maps (Tensor): Maps of the n mapped classes, (n, H, W), in [0, 1]. On
            their device all is counted.
        labels (Sequence[int]): Their 0-based foreground classes.
        truth (Tensor): True mask (H, W), int64, 0 is background.
        thresholds (Tensor | np.ndarray): Ascending background scores, (T, ),
            compared in the precision of the maps, as masks are made.
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
    truth = truth.to(maps.device)
    scored = truth != ignore_index
    truth = truth[scored]
    num_bins = len(thresholds) + 1
    if len(labels):
        # ties go to the lower class, and to the background before that
        score, winner = maps[:, scored].max(0)
        bins = torch.bucketize(score, torch.as_tensor(thresholds).to(score))
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
            total = no_areas(num_classes, len(image.background))
        add_areas(total, image)
    if total is None:
        raise ValueError('no image was scored: the dataset is empty')
    return total


def no_areas(num_classes: int, num_bins: int) -> AreaCounts:
    """Make sums over no image, with a row for each class.

    Args:
        num_classes (int): Number of classes with the background.
        num_bins (int): T + 1.

    Returns:
        AreaCounts: Zeros.
    """
    shape = (num_classes, num_bins)
    return AreaCounts(
        np.arange(num_classes), *np.zeros((2, *shape), np.int64),
        np.zeros(num_bins, np.int64), np.zeros(num_classes, np.int64))


def add_areas(total: AreaCounts, counts: AreaCounts) -> None:
    """Add counts to sums.

    Args:
        total (AreaCounts): Of :func:`no_areas`, changed in place.
        counts (AreaCounts): Those of an image, or other sums.
    """
    total.predicted[counts.labels] += counts.predicted
    total.correct[counts.labels] += counts.correct
    total.background[:] += counts.background
    total.truth[:] += counts.truth


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


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes in percent, NaN where none has a number."""
    given = ~np.isnan(values)
    with np.errstate(invalid='ignore'):
        mean = np.where(given, values, 0).sum(1) / given.sum(1)
    return np.round(100 * mean, 2)
