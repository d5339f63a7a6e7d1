"""From activation maps to the labels that IRN learns from."""
from collections.abc import Sequence

import numpy as np
import torch

from .dense_crf import DenseCRF
from .otsu import otsu_thresholds


def confident_labels(image: np.ndarray,
                     maps: np.ndarray,
                     labels: Sequence[int],
                     *,
                     fg_thr: float | str,
                     bg_thr: float | str,
                     crf: dict | None = None,
                     ignore_index: int = 255) -> np.ndarray:
    """Label the pixels that two thresholds agree about.

    The maps behind a background of `fg_thr` give a conservative mask, behind
    one of `bg_thr` a permissive one; each is refined by a dense CRF. What is
    foreground in the first is foreground, what is background in both is
    background, the rest is left open (IRN, arXiv 1904.05044, Sec. 4.2).

    Args:
        image (np.ndarray): (H, W, 3) uint8, RGB.
        maps (np.ndarray): Maps of the n classes, (n, H, W) in [0, 1].
        labels (Sequence[int]): Their 0-based foreground classes.
        fg_thr (float | str): Background score of the conservative mask: 0.30
            in IRN, 0.45 in LPCAM. 'otsu' in both takes the two that separate
            the scores of the image best, see :func:`otsu_thresholds`.
        bg_thr (float | str): That of the permissive mask: 0.05 in IRN, 0.25
            in LPCAM.
        crf (dict, optional): Arguments of :class:`DenseCRF`. Defaults to
            None: those of IRN.
        ignore_index (int): Value of open pixels. Defaults to 255.

    Returns:
        np.ndarray: (H, W) uint8, 0 is the background, `c + 1` is class `c`.
    """
    if isinstance(fg_thr, str) or isinstance(bg_thr, str):
        best = torch.from_numpy(maps.max(0)) if len(maps) else torch.zeros(1)
        bg_thr, fg_thr = otsu_thresholds(best, 2)
    refine = DenseCRF(image, **(crf or {})).refine_labels
    values = np.array([0, *(label + 1 for label in labels)], np.uint8)
    fg, bg = (
        values[refine(_with_background(maps, thr), len(values))]
        for thr in (fg_thr, bg_thr))
    return np.where((fg == 0) & (bg != 0), np.uint8(ignore_index), fg)


def affinity_labels(image: np.ndarray,
                    maps: np.ndarray,
                    labels: Sequence[int],
                    *,
                    alphas: tuple[float, float] = (1., 12.),
                    crf: dict | None = None,
                    ignore_index: int = 255) -> np.ndarray:
    r"""Label the pixels that two background scores agree about.

    The score of the background is :math:`(1 - \max_c M_c)^\alpha`
    (AffinityNet, https://arxiv.org/abs/1803.10464, Eq. 2). With the lower
    alpha it is high, and what is foreground all the same is foreground; with
    the higher one it is low, and what is background all the same is
    background. Each is refined by a dense CRF on the scores; the rest is left
    open.

    Args:
        image (np.ndarray): (H, W, 3) uint8, RGB.
        maps (np.ndarray): Maps of the n classes, (n, H, W) in [0, 1].
        labels (Sequence[int]): Their 0-based foreground classes.
        alphas (tuple[float, float]): The two powers. Defaults to (1, 12),
            those of MCTformer.
        crf (dict, optional): Arguments of :class:`DenseCRF`. Defaults to
            None.
        ignore_index (int): Value of open pixels. Defaults to 255.

    Returns:
        np.ndarray: (H, W) uint8, 0 is the background, `c + 1` is class `c`.
    """
    refine = DenseCRF(image, **(crf or {})).refine_scores
    values = np.array([0, *(label + 1 for label in labels)], np.uint8)
    peak = maps.max(0, initial=0.)
    fg, bg = (
        values[refine(
            np.concatenate([(1 - peak)[None]**alpha,
                            maps]).astype(np.float32)).argmax(0)]
        for alpha in alphas)
    return np.where(bg == 0, np.uint8(0),
                    np.where(fg == 0, np.uint8(ignore_index), fg))


def _with_background(maps: np.ndarray, threshold: float) -> np.ndarray:
    """Mask (H, W) of indices into background and maps."""
    background = np.full((1, *maps.shape[1:]), threshold, maps.dtype)
    return np.concatenate([background, maps]).argmax(0)
