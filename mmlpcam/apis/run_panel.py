"""A picture of the steps of a run."""
from collections.abc import Sequence

import numpy as np
import torch
from mmseg.structures import SegDataSample

from mmlpcam.structures import map_title
from mmlpcam.visualization import draw_legend, draw_map, draw_mask, draw_panel
from .run_contents import PhotoContents, RunContents


class RunPanel:
    """A picture with a row for each photo, and a column for each step.

    Args:
        run (RunContents): The run.
        bg_thrs (Sequence[float]): Background scores at which masks are shown
            too, in [0, 1]. Defaults to none.
    """

    def __init__(self, run: RunContents,
                 bg_thrs: Sequence[float] = ()) -> None:
        self._run = run
        self._bg_thrs = bg_thrs
        self._rows: list[list[tuple[str, np.ndarray]]] = []

    def add(self, photo: PhotoContents) -> None:
        """Add a photo.

        Args:
            photo (PhotoContents): What the run has made of it.
        """
        run, image, kind = self._run, photo.image, self._run.kinds[-1]
        row = [('image', image)]
        for each in run.kinds:
            score = photo.maps.activation.get(each).amax(0).numpy()
            row.append((map_title(each), draw_map(image, score)))
        masks = {
            f'{map_title(kind)}, bg_thr={bg_thr:g}':
            mask_of(photo.maps, kind, bg_thr)
            for bg_thr in self._bg_thrs
        }
        masks.update(photo.made)
        if photo.truth is not None:
            masks['ground truth'] = photo.truth
        row += [(title, draw_mask(image, mask, run.palette))
                for title, mask in masks.items()]
        if photo.truth is None and run.truths:
            row.append(('ground truth', np.full_like(image, 255)))
        self._rows.append(row)

    def draw(self) -> np.ndarray:
        """Draw the picture, with a legend of the classes.

        Returns:
            np.ndarray: (H, W, 3) uint8, RGB.

        Raises:
            ValueError: If there is no photo.
        """
        if not self._rows:
            raise ValueError('no photo could be drawn')
        panel = draw_panel([[picture for _, picture in row]
                            for row in self._rows],
                           [title for title, _ in self._rows[-1]])
        legend = draw_legend(self._run.classes[1:], self._run.palette[1:],
                             panel.shape[1])
        return np.concatenate([panel, legend])


def mask_of(maps: SegDataSample, kind: str, bg_thr: float) -> np.ndarray:
    """Return the mask that maps give at a background score.

    Args:
        maps (:obj:`SegDataSample`): Maps of a photo, see
            :func:`~mmlpcam.models.map_inference.set_map_prediction`.
        kind (str): Their map type.
        bg_thr (float): The score, in [0, 1].

    Returns:
        np.ndarray: (H, W) int64, values of the classes.
    """
    score, winner = maps.activation.get(kind).max(0)
    values = torch.tensor(maps.img_labels) + 1
    return torch.where(score > bg_thr, values[winner], 0).numpy()
