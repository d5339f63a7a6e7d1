"""Heads that learn which cells belong together."""
from abc import abstractmethod
from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.utils import ConfigType, SampleList
from torch import Tensor

from mmlpcam.ops import affinity_loss, pair_kinds
from .targets import grid_labels


class PairHead(BaseModule):
    """Base of heads whose output is an affinity of pairs of cells.

    Args:
        in_channels (Sequence[int]): Channels of each feature of the backbone.
        num_classes (int): Number of classes with the background.
        radius (int): Radius of the pairs, in cells.
        init_cfg (dict, optional): Initialisation.
    """

    def __init__(self, in_channels: Sequence[int], num_classes: int,
                 radius: int, init_cfg: dict | None) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.num_classes = num_classes
        self.radius = radius
        # what EncoderDecoder asks of a head
        self.out_channels = num_classes
        self.align_corners = False

    @abstractmethod
    def affinity(self, outputs: Tensor) -> Tensor:
        """Compute affinities from what the head puts out.

        Args:
            outputs (Tensor): Of the head, (N, C, H, W) float32.

        Returns:
            Tensor: (N, P, h, w) in [0, 1], in the order of
            :func:`mmlpcam.ops.pair_offsets`.
        """

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the affinity loss.

        Args:
            inputs (Sequence[Tensor]): One feature per stage, (N, D, h, w).
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                confident labels as ``gt_sem_seg``.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: See :func:`mmlpcam.ops.affinity_loss`.
        """
        outputs = self(inputs).float()
        labels = grid_labels(batch_data_samples, outputs.shape[-2:])
        return affinity_loss(
            self.affinity(outputs),
            pair_kinds(labels, self.radius, self.num_classes))
