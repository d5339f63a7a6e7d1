"""LPCAM on the features of AMN (experimental)."""
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor

from mmlpcam.ops import flip_average, normalize_maps, prototype_scores
from mmlpcam.structures import MapType, register_map_type
from .amnet import AMNHead
from .map_head import multi_hot
from .prototype_head import PrototypeHead

register_map_type(MapType('amn_ungated', 'AMN, ungated'))


@MODELS.register_module()
class AMNPrototypeHead(PrototypeHead):
    """AMN whose maps are LPCAM, in the place of its own: experimental.

    An :class:`AMNHead` learns as ever, from the masks of a first stage. Its
    label-weighted features are then what LPCAM clusters and compares. The
    LPCAM paper may mean this where it puts LPCAM into AMN, or LPCAM in AMN's
    first stage; no source says how it would be done. Chosen:

    - 'amn_ungated', which tells foreground from context: the probability of
      the class, stretched from its minimum to its maximum at each scale, as
      AMN does it wherever its gate is open,
    - the score of a prototype: the probability of its class for a constant
      image, by the sum of the taps of all convolutions, and their biases.
      The softmax is AMN's own, with the background, and smoothed labels keep
      it far from 1, so that `mu_f` and `mu_b` of
      :class:`~mmlpcam.engine.PrototypeBuilder` must be low.

    It is the ``decode_head`` of a :class:`CAMSegmentor`, with image labels.

    Args:
        in_channels, num_classes (int): See :class:`MapHead`.
        amn (dict): Arguments of :class:`AMNHead` besides these. Defaults to
            those of :class:`AMNHead`.
        **kwargs: See :class:`PrototypeHead`.
    """

    map_types = ('amn_ungated', *PrototypeHead.map_types)
    split_map_type = 'amn_ungated'

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 *,
                 amn: dict | None = None,
                 **kwargs) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.amn = AMNHead(
            in_channels, num_classes, in_index=self.in_index, **(amn or {}))

    def classify(self, feats: Sequence[Tensor]) -> Tensor:
        """Refuse: AMN starts from the labels of an image.

        Raises:
            TypeError: Always.
        """
        raise TypeError('AMN does not classify images, it needs their labels: '
                        'put ImageLabelDataset around the dataset, and leave '
                        'use_image_labels at True')

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify positions without labels, see :class:`AMNHead`."""
        return self.amn(feats)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the loss of :class:`AMNHead`."""
        return self.amn.loss(inputs, batch_data_samples, train_cfg)

    def with_labels(self, feats: Sequence[Tensor],
                    labels: Sequence[Sequence[int]]) -> Sequence[Tensor]:
        """Weigh the channels by the labels of each image.

        Arguments are those of :class:`MapHead`.
        """
        local = self.local_features(feats)
        vectors = multi_hot(labels,
                            local.new_empty(len(local), self.num_classes - 1))
        changed = list(feats)
        changed[self.in_index] = self.amn.weighted(local, vectors)
        return changed

    @torch.no_grad()
    def class_scores(self, centers: Tensor) -> Tensor:
        """Classify centres of weighted features.

        Args:
            centers (Tensor): Cluster centres at their raw scale, (K, D).

        Returns:
            Tensor: Probabilities of the foreground classes, (K, C); with that
            of the background they sum to 1.
        """
        weight, bias = (
            torch.stack([conv.get_parameter(name) for conv in self.amn.convs])
            for name in ('weight', 'bias'))
        return prototype_scores(centers, weight.sum((0, 3, 4)),
                                bias.sum(0))[:, 1:]

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute maps of the features of :meth:`with_labels`.

        Arguments are those of :class:`MapHead`.
        """
        if map_type != 'amn_ungated':
            return super().maps(feats, map_type, classes, flip=flip)
        logits = self.amn.logits(self.local_features(feats)).float()
        if flip:
            logits = flip_average(logits)
        maps = logits.softmax(1)[:, [label + 1 for label in classes]]
        return normalize_maps(maps, 'minmax', eps=1e-5)
