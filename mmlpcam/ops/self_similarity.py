"""Maps spread by the similarity of an image's own features."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Cells of an image that the others are compared to: photos of up to 1024 x
# 1024 pixels at stride 16 are compared cell by cell.
_MAX_KEYS = 4096
# Weights at a time, 16 MB of float32.
_BLOCK = 2**22


def spread_by_similarity(maps: Tensor, feats: Tensor,
                         sharpness: float) -> Tensor:
    r"""Let cells that look alike share their scores.

    .. math:: M'(i) = \sum_j \operatorname{softmax}_j(s \cos(f_i, f_j)) M(j)

    The pixel correlation module of SEAM (https://arxiv.org/abs/2004.04581),
    with a softmax in the place of the rectified cosine, and the features of
    the maps themselves in the place of learnt ones: nothing is
    trained. A map that is high on a part of an object reaches the rest of it;
    scores stay between the lowest and the highest of a map, and get closer.

    Of an image with more than 4096 cells, j goes over means of squares of
    cells, so that time and memory grow with the number of cells, not with its
    square.

    Args:
        maps (Tensor): Maps M of N images, (N, n, h, w).
        feats (Tensor): Their features f, (N, D, h, w); a zero feature is as
            like to all.
        sharpness (float): s > 0. At 0 all cells would count the same.

    Returns:
        Tensor: Maps of shape (N, n, h, w), float32.

    Raises:
        ValueError: If maps and features are of different sizes.

    Example:
        >>> maps = torch.tensor([[[[1., 0., 0.]]]])
        >>> feats = torch.tensor([[2., 1., 0.], [0., 0., 1.]])
        >>> spread_by_similarity(maps, feats.view(1, 2, 1, 3), 4.).flatten()
        tensor([0.4955, 0.4955, 0.0177])
    """
    if (len(maps), *maps.shape[2:]) != (len(feats), *feats.shape[2:]):
        raise ValueError(f'maps {tuple(maps.shape)} and features '
                         f'{tuple(feats.shape)} are of different sizes')
    if not maps.numel():  # no class, which avg_pool2d() refuses
        return maps.float()
    # half precision would round the cosines of like cells to the same value
    with torch.autocast(feats.device.type, enabled=False):
        unit = F.normalize(feats.float(), dim=1)
        height, width = maps.shape[2:]
        side = math.ceil(math.sqrt(height * width / _MAX_KEYS))
        keys, values = (
            F.avg_pool2d(each, side, ceil_mode=True).flatten(2)
            for each in (unit, maps.float()))
        rows = max(_BLOCK // keys.shape[2], 1)
        spread = [
            torch.cat([
                value @ (sharpness * key.mT @ queries).softmax(0)
                for queries in image.split(rows, dim=1)
            ], 1) for image, key, value in zip(unit.flatten(2), keys, values)
        ]
    return torch.stack(spread).view(maps.shape)
