"""Thresholds from scores alone, without true masks."""
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
    bins = (scores.flatten().float() * _NUM_BINS).long()
    counts = torch.bincount(
        bins.clamp(0, _NUM_BINS - 1), minlength=_NUM_BINS).double()
    if int((counts > 0).sum()) <= num_thresholds:
        return [0.5] * num_thresholds
    centers = torch.arange(
        0.5, _NUM_BINS, dtype=torch.double, device=scores.device)
    share = counts.cumsum(0)
    mass = (counts * centers).cumsum(0)

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


def background_score(maps: Tensor, bg_thr: float | str) -> float:
    """Return the score of the background that makes a mask of maps.

    Args:
        maps (Tensor): Maps of the n labelled classes, (n, H, W) in [0, 1].
        bg_thr (float | str): The score, or 'otsu' for the threshold that
            separates the highest scores of the pixels best.

    Returns:
        float: In [0, 1].
    """
    if not isinstance(bg_thr, str):
        return bg_thr
    return otsu_thresholds(maps.amax(0))[0] if len(maps) else 0.5
