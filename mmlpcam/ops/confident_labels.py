"""From activation maps to the labels that IRN learns from."""
from collections.abc import Sequence

import numpy as np
import torch

from .dense_crf import DenseCRF, infer_many, label_unary, softmax_unary
from .score_thresholds import otsu_thresholds


def confident_labels(images: Sequence[np.ndarray],
                     maps: Sequence[np.ndarray],
                     labels: Sequence[Sequence[int]],
                     *,
                     fg_thr: float | str,
                     bg_thr: float | str,
                     crf: dict | None = None,
                     ignore_index: int = 255) -> list[np.ndarray]:
    """Label the pixels that two thresholds agree about.

    The maps behind a background of `fg_thr` give a conservative mask, behind
    one of `bg_thr` a permissive one; each is refined by a dense CRF. What is
    foreground in the first is foreground, what is background in both is
    background, the rest is left open (IRN, arXiv 1904.05044, Sec. 4.2).

    Args:
        images (Sequence[np.ndarray]): Images (H, W, 3) uint8, RGB.
        maps (Sequence[np.ndarray]): For each image the maps of its n
            classes, (n, H, W) in [0, 1].
        labels (Sequence[Sequence[int]]): For each image their 0-based
            foreground classes.
        fg_thr (float | str): Background score of the conservative mask: 0.30
            in IRN, 0.45 in LPCAM. 'otsu' in both takes the two that separate
            the scores of the image best, see :func:`otsu_thresholds`.
        bg_thr (float | str): That of the permissive mask: 0.05 in IRN, 0.25
            in LPCAM.
        crf (dict, optional): Arguments of :class:`DenseCRF`. Defaults to
            None: those of IRN.
        ignore_index (int): Value of open pixels. Defaults to 255.

    Returns:
        list[np.ndarray]: (H, W) uint8 per image, 0 is the background,
        `c + 1` is class `c`.
    """
    unaries = []
    for planes in maps:
        low, high = bg_thr, fg_thr
        if isinstance(low, str) or isinstance(high, str):
            best = planes.max(0) if len(planes) else np.zeros(1, np.float32)
            low, high = otsu_thresholds(torch.from_numpy(best), 2)
        unaries.append(
            np.stack([
                label_unary(_with_background(planes, thr),
                            len(planes) + 1) for thr in (high, low)
            ]))
    return [
        np.where((fg == 0) & (bg != 0), np.uint8(ignore_index), fg)
        for fg, bg in _refined(images, unaries, labels, crf)
    ]


def affinity_labels(images: Sequence[np.ndarray],
                    maps: Sequence[np.ndarray],
                    labels: Sequence[Sequence[int]],
                    *,
                    alphas: tuple[float, float] = (1., 12.),
                    crf: dict | None = None,
                    ignore_index: int = 255) -> list[np.ndarray]:
    r"""Label the pixels that two background scores agree about.

    The score of the background is :math:`(1 - \max_c M_c)^\alpha`
    (AffinityNet, https://arxiv.org/abs/1803.10464, Eq. 2). With the lower
    alpha it is high, and what is foreground all the same is foreground; with
    the higher one it is low, and what is background all the same is
    background. Each is refined by a dense CRF on the scores; the rest is left
    open.

    Args:
        images (Sequence[np.ndarray]): Images (H, W, 3) uint8, RGB.
        maps (Sequence[np.ndarray]): For each image the maps of its n
            classes, (n, H, W) in [0, 1].
        labels (Sequence[Sequence[int]]): For each image their 0-based
            foreground classes.
        alphas (tuple[float, float]): The two powers. Defaults to (1, 12),
            those of MCTformer.
        crf (dict, optional): Arguments of :class:`DenseCRF`. Defaults to
            None.
        ignore_index (int): Value of open pixels. Defaults to 255.

    Returns:
        list[np.ndarray]: (H, W) uint8 per image, 0 is the background,
        `c + 1` is class `c`.
    """
    unaries = []
    for planes in maps:
        peak = planes.max(0, initial=0.)
        unaries.append(
            softmax_unary(
                np.stack([[(1 - peak)**alpha, *planes] for alpha in alphas])))
    return [
        np.where(bg == 0, np.uint8(0),
                 np.where(fg == 0, np.uint8(ignore_index), fg))
        for fg, bg in _refined(images, unaries, labels, crf)
    ]


def _refined(images: Sequence[np.ndarray], unaries: Sequence[np.ndarray],
             labels: Sequence[Sequence[int]], crf: dict | None) -> list:
    """Masks (2, H, W) uint8 of classes from unaries (2, L, H, W)."""
    crfs = [DenseCRF(image, **(crf or {})) for image in images]
    return [
        np.array([0, *(label + 1
                       for label in classes)], np.uint8)[probs.argmax(1)]
        for probs, classes in zip(infer_many(crfs, unaries), labels)
    ]


def _with_background(maps: np.ndarray, threshold: float) -> np.ndarray:
    """Mask (H, W) of indices into background and maps."""
    background = np.full((1, *maps.shape[1:]), threshold, maps.dtype)
    return np.concatenate([background, maps]).argmax(0)
