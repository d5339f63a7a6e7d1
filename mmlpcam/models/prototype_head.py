"""Heads whose maps come from a prototype bank."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmlpcam.ops import (activation_maps, flip_average, image_directions,
                         spread_by_similarity)
from mmlpcam.utils import user_errors
from .map_head import MapHead, find_map_head
from .prototype_bank import PrototypeBank


class PrototypeHead(MapHead):
    """Base of heads whose maps can come from a bank of local prototypes.

    It has the LPCAM maps 'lpcam' and 'lpcam_f', the ones without context
    (https://arxiv.org/abs/2303.10334). A subclass adds the maps that tell
    foreground from context, and how a centre of features is classified; this
    and :meth:`local_features` is all that
    :class:`~mmlpcam.engine.PrototypeBuilder` asks for.

    Attributes:
        split_map_type (str): The maps that tell foreground from context.
        bank (PrototypeBank): Filled by
            :class:`~mmlpcam.engine.PrototypeBankHook`.

    Args:
        in_channels, num_classes (int): See :class:`MapHead`.
        num_clusters (int): Clusters per class and side, and so the most
            prototypes: K of the paper, 12 for PASCAL VOC, 20 for MS COCO.
            Defaults to 12.
        image_weight (float): Weight a in [0, 1) of the image itself: a
            direction d becomes (1 - a) d plus a e, where e is as long as d
            and points to :func:`~mmlpcam.ops.image_directions` of its map.
            Defaults to 0, as in LPCAM.
        spread (float, optional): Sharpness > 0 of
            :func:`~mmlpcam.ops.spread_by_similarity` on maps of the bank, 4
            say. Defaults to None: maps as they are, as in LPCAM.
        whitening (int, optional): See :class:`PrototypeBank`.
        **kwargs: See :class:`MapHead`.

    Raises:
        ValueError: If an argument is out of range.
    """

    map_types: tuple[str, ...] = ('lpcam_f', 'lpcam')
    split_map_type = 'cam'

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 *,
                 num_clusters: int = 12,
                 image_weight: float = 0.,
                 spread: float | None = None,
                 whitening: int | None = None,
                 **kwargs) -> None:
        if not 0 <= image_weight < 1:
            raise ValueError(f'`image_weight` {image_weight} not in [0, 1)')
        if spread is not None and not spread > 0:
            raise ValueError(f'`spread` must be above 0, but is {spread}')
        super().__init__(in_channels, num_classes, **kwargs)
        self.bank = PrototypeBank(num_classes - 1, num_clusters, in_channels,
                                  whitening)
        self.image_weight = image_weight
        self.spread = spread

    @abstractmethod
    def class_scores(self, centers: Tensor) -> Tensor:
        """Classify centres of local features (LPCAM Sec. 3.2).

        Args:
            centers (Tensor): Cluster centres at their raw scale, (K, D).

        Returns:
            Tensor: Softmax over the foreground classes, (K, C).
        """

    def local_features(self, feats: Sequence[Tensor]) -> Tensor:
        """Pick the feature map that maps and prototypes live on.

        Args:
            feats (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Features of shape (N, D, h, w).
        """
        return self._transform_inputs(feats)

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute LPCAM maps of the mean features of image and mirror image.

        Arguments are those of :class:`MapHead`.

        Raises:
            ValueError: If it makes no such maps.
            RuntimeError: If the bank is empty.
        """
        self.check_map_type(map_type)
        local = self.local_features(feats)
        return self.bank_maps(
            flip_average(local) if flip else local, classes,
            map_type == 'lpcam')

    def bank_maps(self, local: Tensor, classes: Sequence[int],
                  with_context: bool) -> Tensor:
        """Compare features with the bank, and with the image itself.

        Args:
            local (Tensor): Features of :meth:`local_features`, (N, D, h, w).
            classes (Sequence[int]): The n 0-based foreground classes.
            with_context (bool): Whether context prototypes are subtracted.

        Returns:
            Tensor: Maps (N, n, h, w), float32, >= 0, not normalised.

        Raises:
            RuntimeError: If the bank is empty.
        """
        local = self.bank.compared(local)
        directions = self.directions(with_context)[[*classes]]
        maps = activation_maps(local, directions, normalize=True)
        if self.image_weight > 0:
            own = image_directions(local, maps)
            own *= directions.norm(dim=1, keepdim=True)
            mixed = directions.lerp(own, self.image_weight)
            maps = torch.cat([
                activation_maps(image[None], each, normalize=True)
                for image, each in zip(local, mixed)
            ])
        if self.spread is None:
            return maps
        return spread_by_similarity(maps, local, self.spread)

    def directions(self, with_context: bool) -> Tensor:
        """Return what unit features are compared to.

        Args:
            with_context (bool): Whether context prototypes are subtracted.

        Returns:
            Tensor: (C, D) for :func:`mmlpcam.ops.activation_maps`.

        Raises:
            RuntimeError: If the bank is empty.
        """
        if not self.bank.is_built:
            with user_errors():
                raise RuntimeError(
                    'LPCAM maps need prototypes, but the bank is empty: load '
                    'a checkpoint trained with PrototypeBankHook and the same '
                    'num_clusters (tools/build_prototypes.py fills it). If it '
                    'is one, its classifier found no class on any photo (its '
                    'log says "no foreground feature"): train it longer, from '
                    'better weights, or use '
                    f"map_type='{self.split_map_type}'")
        return self.bank.directions(with_context)


def find_prototype_head(model: nn.Module) -> PrototypeHead:
    """Find the one head of a model that makes maps, with its prototypes.

    Args:
        model (nn.Module): Any segmentor.

    Returns:
        PrototypeHead: Its decode head or auxiliary head.

    Raises:
        TypeError: If it has none, or several, or the one has no prototypes.
    """
    head = find_map_head(model)
    if not isinstance(head, PrototypeHead):
        raise TypeError(
            f'{type(head).__name__} has no prototypes: take a head that is a '
            'PrototypeHead, such as CAMHead, or PrototypeBankHook out of '
            'custom_hooks')
    return head
