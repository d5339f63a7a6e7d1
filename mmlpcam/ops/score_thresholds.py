"""Thresholds from scores alone, without true masks."""
from typing import NamedTuple

import torch
from torch import Tensor

_NUM_BINS = 256


def otsu_thresholds(scores: Tensor, num_thresholds: int = 1) -> list[float]:
    r"""Find the thresholds that separate scores best (Otsu, 1979).

    They cut the histogram of the scores into classes of which the variance
    between their means is highest:

    .. math:: \max_t \sum_k w_k (\mu_k - \mu)^2

    with the shares :math:`w_k` and means :math:`\mu_k` of the classes.

    Args:
        scores (Tensor): Scores in [0, 1], of any shape.
        num_thresholds (int): 1, or 2 for three classes. Defaults to 1.

    Returns:
        list[float]: Thresholds in (0, 1], ascending, multiples of 1/256; 0.5
        each where all scores are alike, so that there is nothing to separate.

    Raises:
        ValueError: If there are no scores, or another number of thresholds.

    Example:
        >>> otsu_thresholds(torch.tensor([0., 0.1, 0.1, 0.8, 0.9]))
        [0.1015625]
    """
    if num_thresholds not in (1, 2) or not scores.numel():
        raise ValueError('expected scores and 1 or 2 thresholds, but got '
                         f'{scores.numel()} and {num_thresholds}')
    share, mass = _cumulative(scores)
    if len(share.unique()) - int(share[0] == 0) <= num_thresholds:
        return [0.5] * num_thresholds

    # w mu^2 of the bins between two edges: their sum differs from the
    # variance between the classes by a constant
    def spread(first: tuple[Tensor, Tensor], last: tuple[Tensor,
                                                         Tensor]) -> Tensor:
        width = last[0] - first[0]
        return (last[1] - first[1])**2 / width.clamp(min=1e-12)

    low = (share[:-1], mass[:-1])
    zero, total = (share[:1] * 0, mass[:1] * 0), (share[-1:], mass[-1:])
    if num_thresholds == 1:
        found = [int((spread(zero, low) + spread(low, total)).argmax())]
    else:
        rows = (low[0][:, None], low[1][:, None])
        gain = spread(zero, low)[:, None] + spread(rows, low) + spread(
            low, total)
        ordered = torch.ones_like(gain, dtype=torch.bool).triu(1)
        best = int(gain.where(ordered, gain.new_tensor(-1.)).argmax())
        found = [best // len(gain), best % len(gain)]
    return [(index + 1) / _NUM_BINS for index in found]


def li_threshold(scores: Tensor) -> float:
    r"""Find the threshold of least cross entropy (Li and Tam, 1998).

    With the sum :math:`m_k` and the mean :math:`\mu_k` of the scores below
    and above, it is

    .. math:: \min_t -\sum_k m_k \log \mu_k

    (https://doi.org/10.1016/S0167-8655(98)00057-9), and lower than Otsu's
    where few scores are high and most are low.

    Args:
        scores (Tensor): Scores in [0, 1], of any shape.

    Returns:
        float: In (0, 1], a multiple of 1/256; 0.5 where all scores are alike.

    Raises:
        ValueError: If there are no scores.

    Example:
        >>> li_threshold(torch.tensor([0., 0.1, 0.1, 0.8, 0.9]))
        0.1015625
    """
    if not scores.numel():
        raise ValueError('expected scores, but got none')
    share, mass = _cumulative(scores)
    below, above = mass[:-1], mass[-1] - mass[:-1]
    split = (share[:-1] > 0) & (share[:-1] < share[-1])
    if not split.any():
        return 0.5
    entropy = -torch.xlogy(below, below / share[:-1]) - torch.xlogy(
        above, above / (share[-1] - share[:-1]))
    best = int(torch.where(split, entropy, torch.inf).argmin())
    return (best + 1) / _NUM_BINS


_METHODS = dict(
    otsu=lambda scores: otsu_thresholds(scores)[0], li=li_threshold)


class AutoThreshold(NamedTuple):
    """How a threshold follows from the scores of each image.

    Attributes:
        method (str): 'otsu' (:func:`otsu_thresholds`), for maps that cover
            whole objects, or 'li' (:func:`li_threshold`), for those that are
            high on parts of them, as CAM is.
        typical (float, optional): Threshold of the method in a typical image
            of the set, in [0, 1]. That of an image is brought halfway to it.
            Defaults to None: that of the image alone.
    """
    method: str
    typical: float | None = None

    @classmethod
    def parse(cls, text: str) -> 'AutoThreshold':
        """Read what :meth:`__str__` writes.

        Args:
            text (str): A method, or a method, a colon and a threshold.

        Returns:
            AutoThreshold: What it says.

        Raises:
            ValueError: If it says something else.
        """
        method, colon, number = text.partition(':')
        try:
            typical = float(number) if colon else None
        except ValueError:
            typical = torch.nan
        if method not in _METHODS or not (typical is None
                                          or 0 <= typical <= 1):
            raise ValueError(f"expected one of {sorted(_METHODS)}, or 'otsu:' "
                             'and a typical threshold in [0, 1], but got '
                             f'{text!r}')
        return cls(method, typical)

    def __str__(self) -> str:
        return self.method if self.typical is None else (
            f'{self.method}:{self.typical:.4f}')

    def of_maps(self, maps: Tensor) -> float:
        """Return the threshold of the highest scores of an image.

        Args:
            maps (Tensor): Maps of its n classes, (n, H, W) in [0, 1].

        Returns:
            float: In [0, 1].
        """
        if not len(maps):
            return 0.5 if self.typical is None else self.typical
        own = _METHODS[self.method](maps.amax(0))
        return own if self.typical is None else (own + self.typical) / 2


def background_score(maps: Tensor, bg_thr: float | str) -> float:
    """Return the score of the background that makes a mask of maps.

    Args:
        maps (Tensor): Maps of the n labelled classes, (n, H, W) in [0, 1].
        bg_thr (float | str): The score, or an :class:`AutoThreshold` as text,
            such as 'otsu'.

    Returns:
        float: In [0, 1].

    Raises:
        ValueError: If the text is none.
    """
    if not isinstance(bg_thr, str):
        return bg_thr
    return AutoThreshold.parse(bg_thr).of_maps(maps)


def _cumulative(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers and sums of the scores up to each of the 256 bins, float64."""
    bins = (scores.flatten().float() * _NUM_BINS).long()
    counts = torch.bincount(
        bins.clamp(0, _NUM_BINS - 1), minlength=_NUM_BINS).double()
    centers = torch.arange(
        0.5, _NUM_BINS, dtype=torch.double, device=scores.device)
    return counts.cumsum(0), (counts * centers).cumsum(0)
