"""Heads that turn features into maps."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from .map_settings import MapSettings


class MapHead(BaseDecodeHead):
    """Base of classification heads that yield maps of their classes.

    A subclass says how whole images are classified and how maps are made,
    both from features: a head never runs the backbone. What several scales
    and views of an image make of it is the business of
    :func:`~mmlpcam.models.multi_scale_maps`. It is the ``decode_head`` of a
    :class:`CAMSegmentor`, or an ``auxiliary_head`` of any segmentor.

    It learns with the multi-label soft-margin loss from the image labels in
    ``data_sample.img_labels``.

    Attributes:
        map_types (tuple[str, ...]): Names of the maps that it makes, each a
            registered :class:`~mmlpcam.structures.MapType`.
        settings (MapSettings): How its maps are made.

    Args:
        in_channels (int): Channels D of the feature map.
        num_classes (int): Number of classes with the background, which is
            class 0, as in the dataset.
        stride (int): See :class:`MapSettings`. Defaults to 16.
        rounding (str): The same. Defaults to 'ceil'.
        scales (Sequence[float]): The same. Defaults to (1.0, 0.5, 1.5, 2.0).
        flip (bool): The same. Defaults to True.
        in_index (int): Which backbone output to use. Defaults to -1.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        TypeError: If `in_channels`, `num_classes` or `in_index` is no integer.
        ValueError: If an argument is out of range.
    """

    map_types: tuple[str, ...] = ()

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 *,
                 stride: int = 16,
                 rounding: str = 'ceil',
                 scales: Sequence[float] = (1.0, 0.5, 1.5, 2.0),
                 flip: bool = True,
                 in_index: int = -1,
                 loss_weight: float = 1.0,
                 init_cfg: dict | None = None) -> None:
        if any(
                type(each) is not int
                for each in (in_channels, num_classes, in_index)):
            raise TypeError(
                'maps are made of one feature map: expected integers as '
                '`in_channels`, `num_classes` and `in_index`, but got '
                f'{in_channels!r}, {num_classes!r} and {in_index!r}')
        if num_classes < 2:
            raise ValueError(
                '`num_classes` counts the background and must be at least 2, '
                f'but got {num_classes}')
        settings = MapSettings().changed(
            scales=scales, flip=flip, stride=stride, rounding=rounding)
        super().__init__(
            in_channels,
            in_channels,
            init_cfg=init_cfg,
            in_index=in_index,
            num_classes=num_classes,
            out_channels=num_classes,
            dropout_ratio=0)
        del self.conv_seg  # of BaseDecodeHead, whose classes are pixels'
        self.settings = settings
        self.loss_weight = loss_weight

    @abstractmethod
    def classify(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify whole images.

        Args:
            feats (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Logits of shape (N, C), C without background.
        """

    def with_labels(self, feats: Sequence[Tensor],
                    labels: Sequence[Sequence[int]]) -> Sequence[Tensor]:
        """Let image labels change features, before maps are made of them.

        They stay as they are, unless a head learns on features that the
        labels change.

        Args:
            feats (Sequence[Tensor]): Multi-level features of N images.
            labels (Sequence[Sequence[int]]): Their 0-based foreground
                classes.

        Returns:
            Sequence[Tensor]: Multi-level features of the same shapes.
        """
        return feats

    @abstractmethod
    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute the maps of some classes at one scale.

        Args:
            feats (Sequence[Tensor]): Multi-level features of N images; with
                `flip` of 2N, the mirror images behind the images.
            map_type (str): One of ``map_types``.
            classes (Sequence[int]): The n 0-based foreground classes.
            flip (bool): Whether there are mirror images to fuse.

        Returns:
            Tensor: Maps (N, n, h, w), float32, >= 0, not normalised.

        Raises:
            ValueError: If it makes no such maps.
        """

    def check_map_type(self, map_type: str) -> None:
        """Check that a kind of maps can be made.

        Args:
            map_type (str): Its name.

        Raises:
            ValueError: If it cannot.
        """
        if map_type not in self.map_types:
            raise ValueError(
                f'expected a map type of {self.map_types}, but got '
                f'{map_type!r}, which {type(self).__name__} does not make')

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify whole images, see :meth:`classify`."""
        return self.classify(feats)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the multi-label soft-margin loss.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                ``img_labels`` in their metainfo; masks are not looked at.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: 'loss_cls', and 'acc_cls', the percentage of
            right yes-or-no decisions.

        Raises:
            KeyError: If a sample has no ``img_labels``.
        """
        logits = self.classify(inputs)
        target = label_vectors(batch_data_samples, logits)
        loss = F.multilabel_soft_margin_loss(logits.float(), target.float())
        accuracy = ((logits > 0) == target.bool()).float().mean() * 100
        return dict(loss_cls=loss * self.loss_weight, acc_cls=accuracy)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict],
                test_cfg: ConfigType) -> Tensor:
        """Refuse: maps need several scales and views of an image.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f'{type(self).__name__} gives maps through '
                        "CAMSegmentor: set model.type='CAMSegmentor'")


def label_vectors(data_samples: SampleList, like: Tensor) -> Tensor:
    """Turn image labels into vectors of zeros and ones.

    Args:
        data_samples (list[:obj:`SegDataSample`]): N samples with
            ``img_labels`` in their metainfo.
        like (Tensor): Logits of shape (N, C).

    Returns:
        Tensor: (N, C), of the same type and device.

    Raises:
        KeyError: If a sample has no ``img_labels``.
    """
    for sample in data_samples:
        if 'img_labels' not in sample.metainfo:
            raise KeyError('a training sample has no `img_labels`: wrap the '
                           'dataset in ImageLabelDataset')
    return multi_hot([sample.img_labels for sample in data_samples], like)


def multi_hot(labels: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """Turn classes into vectors of zeros and ones.

    Args:
        labels (Sequence[Sequence[int]]): 0-based classes of each of N images.
        like (Tensor): Of shape (N, C).

    Returns:
        Tensor: (N, C), of the same type and device.
    """
    vectors = torch.zeros_like(like)
    for row, present in zip(vectors, labels):
        row[list(present)] = 1
    return vectors


def find_map_head(model: nn.Module) -> MapHead:
    """Find the one head of a model that makes maps.

    Args:
        model (nn.Module): Any segmentor.

    Returns:
        MapHead: Its decode head or auxiliary head.

    Raises:
        TypeError: If it has none, or several.
    """
    heads = [m for m in model.modules() if isinstance(m, MapHead)]
    if len(heads) != 1:
        raise TypeError(
            f'expected one MapHead, such as CAMHead, in '
            f'{type(model).__name__}, but found {len(heads)}: make it the '
            'decode_head of a CAMSegmentor or an auxiliary_head of the '
            'segmentor')
    return heads[0]
