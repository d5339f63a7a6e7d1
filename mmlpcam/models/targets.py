"""What heads learn from, out of samples."""
import torch
import torch.nn.functional as F
from mmseg.utils import SampleList
from torch import Tensor


def grid_labels(data_samples: SampleList, size: tuple[int, int]) -> Tensor:
    """Sample masks on the grid of features.

    Args:
        data_samples (list[:obj:`SegDataSample`]): N samples with
            ``gt_sem_seg`` (1, H, W), all of one size.
        size (tuple[int, int]): Rows and columns of the grid.

    Returns:
        Tensor: Labels (N, h, w), int64: those of the middle of each cell, as
        Pillow takes them.
    """
    masks = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
    return F.interpolate(
        masks.float(), list(size), mode='nearest-exact')[:, 0].long()
