"""Thresholds of stored maps, from one pass over them."""
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mmlpcam.datasets import SegDatasetWrapper
from mmlpcam.structures import ActivationMaps, is_refined, load_maps, map_title
from mmlpcam.utils.names import listed
from .area_counts import (AreaCounts, above_thresholds, count_areas,
                          mean_scores, sum_areas, threshold_scores)

# From the seed threshold of the LPCAM settings, 0.30, to those of its
# confident labels, 0.45 and 0.25.
_LPCAM_STEPS = dict(ir_fg_thr=0.15, ir_bg_thr=-0.05)


class LabelQuality(NamedTuple):
    """How many pixels get a kind of label at each threshold, and how well.

    Attributes:
        labeled (np.ndarray): (T, ) int64 pixels that get such a label.
        right (np.ndarray): (T, ) int64 those of them that are labelled
            rightly.
        truth (int): Pixels that should get such a label.
    """
    labeled: np.ndarray
    right: np.ndarray
    truth: int

    @property
    def precision(self) -> np.ndarray:
        """np.ndarray: (T, ) percent of the labels that are right, or NaN."""
        return _percent(self.right, self.labeled)

    @property
    def recall(self) -> np.ndarray:
        """np.ndarray: (T, ) percent of the true pixels that are found."""
        return _percent(self.right, self.truth)

    def kept(self, base: int) -> tuple[np.ndarray, np.ndarray]:
        """Say what other thresholds keep of the labels at one threshold.

        Args:
            base (int): Index of the one.

        Returns:
            tuple[np.ndarray, np.ndarray]: Share of its right labels and share
            of its wrong labels, (T, ) each; 0 where it has none.
        """
        wrong = self.labeled - self.right
        return (self.right / max(self.right[base], 1),
                wrong / max(wrong[base], 1))


@dataclass(frozen=True)
class ThresholdSweep:
    """Scores of maps on a grid of thresholds, and what follows from them.

    Attributes:
        thresholds (np.ndarray): The grid, (T, ) float64, ascending.
        means (dict[str, np.ndarray]): (T, ) percent as of
            :func:`mean_scores`, the numbers of :class:`CAMIoUMetric`.
        foreground (LabelQuality): Pixels above each threshold, of all images
            together; right is the true class.
        background (LabelQuality): Pixels up to each threshold.
        num_images (int): Number of images.
        source (str): What made the maps, see
            :class:`~mmlpcam.structures.ActivationMaps`.
    """
    thresholds: np.ndarray
    means: dict[str, np.ndarray]
    foreground: LabelQuality
    background: LabelQuality
    num_images: int
    source: str

    @property
    def is_refined(self) -> bool:
        """bool: Whether the maps are made of other maps."""
        return is_refined(self.source)

    @property
    def best(self) -> int:
        """int: Index of the highest mIoU, the first among equals."""
        return int(self.means['mIoU'].argmax())

    def suggest(self) -> dict[str, int]:
        """Choose thresholds.

        The background score of masks has the highest mIoU. From maps of a
        classifier follow two more, for the confident labels that a boundary
        network learns from (IRN): pixels above the first are foreground,
        pixels up to the second background, those in between get no label.
        Each is the threshold that tells right labels of the mask from wrong
        ones best: the one with the largest share of right labels kept minus
        share of wrong labels kept (Youden's index, Cancer 3:32, 1950). It
        drops the scores at which labels are less often right than in the
        whole mask. There is no constant to choose, such as a precision to
        reach, which poor maps never do, and the two lie on either side of the
        first by construction.

        Returns:
            dict[str, int]: Indices into ``thresholds``: 'bg_thr' and, of
            maps of a classifier, 'ir_fg_thr' and 'ir_bg_thr'.
        """
        best = self.best
        if self.is_refined:
            return dict(bg_thr=best)
        # the first among equals is the nearest, which labels most pixels
        right, wrong = self.foreground.kept(best)
        up = (right - wrong)[best:].argmax()
        right, wrong = self.background.kept(best)
        down = (right - wrong)[best::-1].argmax()
        return dict(
            bg_thr=best, ir_fg_thr=best + int(up), ir_bg_thr=best - int(down))

    def rule_of_thumb(self) -> dict[str, int]:
        """Place the confident thresholds as far apart as LPCAM has them.

        Returns:
            dict[str, int]: Indices of the nearest thresholds of the grid:
            'ir_fg_thr', 0.15 above the best one, and 'ir_bg_thr', 0.05 below
            it; empty for refined maps.
        """
        if self.is_refined:
            return {}
        best = self.thresholds[self.best]
        return {
            name: int(abs(self.thresholds - best - step).argmin())
            for name, step in _LPCAM_STEPS.items()
        }

    def columns(self) -> dict[str, np.ndarray]:
        """Return all numbers as a table.

        Returns:
            dict[str, np.ndarray]: Columns of shape (T, ): 'threshold', the
            means, and the percentages 'fg_precision', 'fg_recall',
            'bg_precision' and 'bg_recall' of all pixels together.
        """
        return dict(
            threshold=self.thresholds,
            **self.means,
            fg_precision=self.foreground.precision,
            fg_recall=self.foreground.recall,
            bg_precision=self.background.precision,
            bg_recall=self.background.recall)


def find_maps(folder: str | os.PathLike, image_ids: Sequence[str]) -> Path:
    """Find the stored maps of images.

    Args:
        folder (str | os.PathLike): Folder that a :class:`PseudoLabelWriter`
            with ``save_maps`` wrote, or the folder ``maps`` in it.
        image_ids (Sequence[str]): Ids of the images.

    Returns:
        Path: Folder that holds the maps of all of them.

    Raises:
        FileNotFoundError: If the folder or maps of images are missing.
    """
    folder = Path(folder)
    if (folder / 'maps').is_dir():
        folder = folder / 'maps'
    if not folder.is_dir():
        raise FileNotFoundError(
            f'there is no folder {folder}: name the one of a stage that '
            'writes labels with label_evaluator=dict(save_maps=True)')
    missing = [
        image_id for image_id in image_ids
        if not (folder / f'{image_id}.npz').exists()
    ]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(image_ids)} images have no maps in '
            f'{folder}: {listed(missing)}. Let the stage that writes maps '
            '(label_evaluator=dict(save_maps=True)) run to its end, on a '
            'label_dataloader with these images')
    return folder


def load_scored_maps(
        dataset: SegDatasetWrapper,
        map_dir: str | os.PathLike) -> Iterator[tuple[ActivationMaps, Tensor]]:
    """Load stored maps and true masks, image by image.

    Args:
        dataset (SegDatasetWrapper): Dataset whose pipeline loads masks.
        map_dir (str | os.PathLike): Folder of the maps, of
            :func:`find_maps`.

    Yields:
        tuple[ActivationMaps, Tensor]: Maps, and the mask (H, W), int64.

    Raises:
        FileNotFoundError: If there are no maps.
        ValueError: If there is no mask, or it has not the size of the maps.
    """
    for index, image_id in enumerate(dataset.image_ids):
        sample = dataset[index]['data_samples']
        if 'gt_sem_seg' not in sample:
            raise ValueError(
                f'{sample.img_path} has no true mask: the pipeline of the '
                'dataset needs LoadAnnotations')
        # only some of the wrappers leave it there
        sample.set_metainfo(dict(image_id=image_id))
        truth = sample.gt_sem_seg.data[0]
        yield load_maps(map_dir, sample, tuple(truth.shape)), truth


def sweep_thresholds(samples: Iterable[tuple[ActivationMaps, Tensor]],
                     thresholds: np.ndarray,
                     num_classes: int,
                     ignore_index: int = 255) -> ThresholdSweep:
    """Score maps at all thresholds in one pass over the images.

    Args:
        samples (Iterable[tuple[ActivationMaps, Tensor]]): Maps of each image
            and its true mask (H, W), int64, 0 is background.
        thresholds (np.ndarray): Ascending background scores, (T, ).
        num_classes (int): Number of classes with the background.
        ignore_index (int): Mask value that is not scored. Defaults to 255.

    Returns:
        ThresholdSweep: The scores.

    Raises:
        ValueError: If there is no image, the maps are of several kinds, or a
            mask does not fit.
    """
    sources: list[str] = []

    def counts() -> Iterator[AreaCounts]:
        for maps, truth in samples:
            sources.append(maps.source)
            yield count_areas(maps.full(), maps.labels, truth, thresholds,
                              num_classes, ignore_index)

    total = sum_areas(counts(), num_classes)
    if len(set(sources)) > 1:
        found = ', '.join(f'{sources.count(name)} are {map_title(name)}'
                          for name in sorted(set(sources)))
        raise ValueError(f'maps of several kinds do not compare, but {found}: '
                         'keep them in folders of their own')
    found = above_thresholds(total.predicted.sum(0))
    pixels = int(total.truth.sum())
    background = int(total.truth[0])
    return ThresholdSweep(
        np.asarray(thresholds, np.float64),
        mean_scores(threshold_scores([total], num_classes)),
        LabelQuality(found, above_thresholds(total.correct.sum(0)),
                     pixels - background),
        LabelQuality(pixels - found,
                     total.background.cumsum()[:-1], background), len(sources),
        sources[0])


def _percent(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.round(100 * part / whole, 2)
