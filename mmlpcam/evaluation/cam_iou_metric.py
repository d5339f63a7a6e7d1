"""Scores of activation maps over a grid of background thresholds."""
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from mmlpcam.structures import map_title, sort_map_types
from mmlpcam.utils import write_json
from .area_counts import (AreaCounts, add_areas, count_areas, mean_scores,
                          no_areas, threshold_grid, threshold_scores)


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

    Raises:
        ValueError: If `thresholds` make no grid, or `score_thr` is not on it.
    """
    default_prefix = 'seed'

    # Sums over the images of this process, and the counts of the newest one:
    # a sampler may end with an image that another process has as well.
    _num_images = 0
    _last: dict[str, AreaCounts] | None = None

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
        self._sums: dict[str, AreaCounts] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the areas of a batch.

        Args:
            data_batch (Any): Not needed.
            data_samples (Sequence[dict]): Predictions of
                :class:`CAMSegmentor` with ``gt_sem_seg``.

        Raises:
            KeyError: If there is no true mask.
            ValueError: If one does not fit its image or the classes.
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
                try:
                    counts[map_type] = count_areas(maps, sample['img_labels'],
                                                   truth, self.thresholds,
                                                   num_classes,
                                                   self.ignore_index)
                except ValueError as error:
                    raise ValueError(f'true mask of {sample.get("img_path")}: '
                                     f'{error}') from error
            self._keep_last()
            self._last = counts
            self._num_images += 1

    def _keep_last(self) -> None:
        """Add the counts of the newest image to the sums."""
        for map_type, counts in (self._last or {}).items():
            if map_type not in self._sums:
                self._sums[map_type] = no_areas(
                    len(self.dataset_meta['classes']), len(counts.background))
            add_areas(self._sums[map_type], counts)
        self._last = None

    def evaluate(self, size: int) -> dict[str, float]:
        """Sum up over all processes.

        Memory does not grow with the images: each process sends its sums.

        Args:
            size (int): Number of images, without those that a sampler repeats
                at the end.

        Returns:
            dict[str, float]: See :meth:`compute_metrics`.
        """
        rank, world_size = get_dist_info()
        # the samplers of MMEngine deal images out in turns
        if (self._num_images - 1) * world_size + rank < size:
            self._keep_last()
        elif self._last is not None:
            self._num_images -= 1
        self.results = [(self._num_images, self._sums)]
        self._num_images, self._sums, self._last = 0, {}, None
        return super().evaluate(world_size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Sum up, print the tables and return the scores.

        Args:
            results (list): Number of images, and sums by map type, of each
                process.

        Returns:
            dict[str, float]: For each map type `m`: '`m`/mIoU', '`m`/FP',
            '`m`/FN', '`m`/Precision', '`m`/Recall' in percent and
            '`m`/thr'.

        Raises:
            ValueError: If there is no image.
        """
        num_images = sum(number for number, _ in results)
        if not num_images:
            raise ValueError('no image was scored: the dataset is empty')
        classes = self.dataset_meta['classes']
        found = {}
        # PixelData does not keep the order of its fields
        for map_type in sort_map_types(set().union(*(s for _, s in results))):
            # BaseMetric turns named tuples into plain ones
            counts = [
                AreaCounts(*sums[map_type]) for _, sums in results
                if map_type in sums
            ]
            scores = threshold_scores(counts, len(classes))
            means = mean_scores(scores)
            pick = self._pick(map_title(map_type), means['mIoU'])
            found[map_type] = _MapScores(pick, float(self.thresholds[pick]),
                                         means, _percent(scores['IoU'][pick]))
        self._print(found, num_images)
        if self.out_file is not None:
            write_json(
                self.out_file,
                dict(
                    split=self.split,
                    tuned_on_split=self.score_thr == 'best',
                    num_images=num_images,
                    thresholds=self.thresholds.tolist(),
                    maps={
                        map_type: each.report(classes)
                        for map_type, each in found.items()
                    }))
        return {
            f'{map_type}/{key}': value
            for map_type, each in found.items()
            for key, value in dict(each.row, thr=each.bg_thr).items()
        }

    def _pick(self, name: str, miou: np.ndarray) -> int:
        """Choose the threshold whose numbers are reported."""
        if self.score_thr != 'best':
            return int(abs(self.thresholds - self.score_thr).argmin())
        pick = int(miou.argmax())
        if pick in (0, len(self.thresholds) - 1):
            print_log(
                f'the best threshold of {name} lies at the end of the grid: '
                'widen `thresholds`',
                logger='current',
                level=logging.WARNING)
        return pick

    def _print(self, found: dict[str, '_MapScores'], num_images: int) -> None:
        summary = PrettyTable(
            ['map', 'bg_thr', 'mIoU', 'FP', 'FN', 'Precision', 'Recall'])
        per_class = PrettyTable()
        per_class.add_column('class', list(self.dataset_meta['classes']))
        for map_type, each in found.items():
            name = map_title(map_type)
            summary.add_row([name, f'{each.bg_thr:.2f}'] +
                            [f'{value:.2f}' for value in each.row.values()])
            per_class.add_column(f'{name} IoU', each.class_iou)
        how = ('each at its best threshold, tuned with the masks of '
               if self.score_thr == 'best' else
               f'at bg_thr {self.score_thr} on ') + self.split
        print_log(
            f'maps of {num_images} images, {how}:\n{summary}\n{per_class}',
            logger='current')


class _MapScores(NamedTuple):
    """Scores of one map type, in percent.

    Attributes:
        pick (int): Index of the threshold whose numbers are reported.
        bg_thr (float): The threshold.
        means (dict[str, np.ndarray]): At all T thresholds, (T, ) each.
        class_iou (list[float | None]): IoU of each class at the one.
    """
    pick: int
    bg_thr: float
    means: dict[str, np.ndarray]
    class_iou: list[float | None]

    @property
    def row(self) -> dict[str, float]:
        """dict[str, float]: The means at the threshold."""
        return {
            k: float(values[self.pick])
            for k, values in self.means.items()
        }

    def report(self, classes: Sequence[str]) -> dict:
        """Return all scores for JSON, which knows no NaN."""
        grid = {key: _plain(values) for key, values in self.means.items()}
        return dict(
            bg_thr=self.bg_thr,
            **{
                key: values[self.pick]
                for key, values in grid.items()
            },
            class_IoU=dict(zip(classes, self.class_iou)),
            grid=grid)


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _percent(values: np.ndarray) -> list[float | None]:
    return [
        None if np.isnan(value) else round(100 * float(value), 2)
        for value in values
    ]
