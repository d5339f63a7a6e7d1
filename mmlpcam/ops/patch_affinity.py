"""Refinement of maps with the attention between patches (MCTformer)."""
import torch
from torch import Tensor


def refine_with_affinity(maps: Tensor, affinity: Tensor) -> Tensor:
    r"""Spread maps to the patches that attend to them.

    .. math:: M'_{c}(i) = \sum_j A(i, j) \, M_c(j)

    (MCTformer, https://arxiv.org/abs/2203.02891, Eq. 9: the affinity is the
    attention from patch to patch, not normalised again.)

    Args:
        maps (Tensor): Maps of shape (N, C, h, w).
        affinity (Tensor): Attention of shape (N, hw, hw): rows ask, columns
            answer.

    Returns:
        Tensor: Maps of shape (N, C, h, w), float32.

    Raises:
        ValueError: If the shapes do not agree.

    Example:
        >>> maps = torch.tensor([[[[1., 0.]]]])
        >>> affinity = torch.tensor([[[.5, .5], [.25, .75]]])
        >>> refine_with_affinity(maps, affinity).flatten()
        tensor([0.5000, 0.2500])
    """
    cells = maps.shape[2] * maps.shape[3]
    if affinity.shape != (len(maps), cells, cells):
        raise ValueError(
            f'maps {tuple(maps.shape)} need an affinity of shape '
            f'{(len(maps), cells, cells)}, but got {tuple(affinity.shape)}')
    # in full precision under autocast too, as all maps
    with torch.autocast(maps.device.type, enabled=False):
        return torch.einsum('nij,ncj->nci', affinity.float(),
                            maps.flatten(2).float()).view(maps.shape)
