"""AMN: maps that follow from labels and are manipulated to cover objects."""
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmlpcam.ops import balanced_smooth_loss, flip_average, gated_maps
from mmlpcam.structures import ActivationMaps, MapType, register_map_type
from mmlpcam.utils import check_no_stage
from mmlpcam.utils.masks import read_index_mask
from .map_head import label_vectors, multi_hot
from .map_inference import scaled_views
from .map_refiner import MapRefiner
from .targets import grid_labels

register_map_type(MapType('amn', 'AMN', normalization='none', is_refined=True))


@MODELS.register_module()
class AMNHead(BaseDecodeHead):
    """Pixel classifier on features that the image labels weight (AMN).

    A linear layer turns the image labels into a weight for each channel; four
    dilated 3x3 convolutions classify the weighted features, and are summed
    (https://arxiv.org/abs/2203.16045, Sec. 3.3). It learns from masks and
    image labels, with :func:`~mmlpcam.ops.balanced_smooth_loss`.

    Args:
        in_channels (int): Channels D of the feature map.
        num_classes (int): Number of classes with the background.
        dilations (Sequence[int]): One convolution each, in cells of the
            feature map. Defaults to (6, 12, 18, 24).
        smoothing (float): Of the labels, in [0, 1). Defaults to 0.4.
        dropout_ratio (float): On the weighted features. Defaults to 0.1.
        dropout_in_test (bool): Whether dropout acts in predictions too, as it
            does in the official code, whose maps are random for that reason.
            Defaults to False.
        in_index (int): Which backbone output to use. Defaults to -1.
        init_cfg (dict, optional): Defaults to a normal distribution with
            standard deviation 0.01 for the convolutions.

    Raises:
        ValueError: If `smoothing` is out of range, there are no dilations,
            or one is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dilations: Sequence[int] = (6, 12, 18, 24),
        smoothing: float = 0.4,
        dropout_ratio: float = 0.1,
        dropout_in_test: bool = False,
        in_index: int = -1,
        init_cfg: dict | None = dict(  # noqa: B006
            type='Normal',
            std=0.01,
            override=dict(name='convs'))
    ) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(
                f'`smoothing` must be in [0, 1), but is {smoothing}')
        if not dilations or min(dilations) < 1:
            raise ValueError(
                '`dilations` must be one or more positive integers, but got '
                f'{dilations}')
        super().__init__(
            in_channels,
            in_channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            init_cfg=init_cfg)
        del self.conv_seg  # the four convolutions are in its place
        self.smoothing = smoothing
        self.dropout_in_test = dropout_in_test
        self.label_encoder = nn.Linear(num_classes - 1, in_channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, num_classes, 3, padding=d, dilation=d)
            for d in dilations)

    def forward(self,
                inputs: Sequence[Tensor],
                labels: Tensor | None = None) -> Tensor:
        """Classify the positions of images with known labels.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.
            labels (Tensor, optional): Vectors of zeros and ones, (N, C), C
                without background. Defaults to None: zeros.

        Returns:
            Tensor: Logits (N, C + 1, h, w), the background first.
        """
        feats = self._transform_inputs(inputs)
        if labels is None:
            labels = feats.new_zeros(len(feats), self.num_classes - 1)
        return self.logits(self.weighted(feats, labels))

    def weighted(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Weigh the channels of features by image labels.

        Args:
            feats (Tensor): Features (N, D, h, w).
            labels (Tensor): Vectors of zeros and ones, (N, C), C without
                background.

        Returns:
            Tensor: Features (N, D, h, w).
        """
        return feats * self.label_encoder(labels)[..., None, None]

    def logits(self, feats: Tensor) -> Tensor:
        """Classify positions.

        Args:
            feats (Tensor): Features of :meth:`weighted`, (N, D, h, w).

        Returns:
            Tensor: Logits (N, C + 1, h, w), the background first.
        """
        if self.dropout is not None:
            feats = F.dropout(feats, self.dropout_ratio, self.training
                              or self.dropout_in_test)
        return sum(conv(feats) for conv in self.convs)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the balanced loss.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                ``img_labels`` in their metainfo and ``gt_sem_seg``.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: 'loss_seg', and 'acc_seg', the percentage of
            the labelled positions that are right.

        Raises:
            KeyError: If a sample has no ``img_labels``.
        """
        feats = self._transform_inputs(inputs)
        labels = label_vectors(
            batch_data_samples,
            feats.new_zeros(len(feats), self.num_classes - 1))
        logits = self(inputs, labels).float()
        target = grid_labels(batch_data_samples, logits.shape[2:])
        kept = target != self.ignore_index
        right = (logits.argmax(1) == target) & kept
        return dict(
            loss_seg=balanced_smooth_loss(logits, target, self.smoothing,
                                          self.ignore_index),
            acc_seg=100 * right.sum() / kept.sum().clamp(min=1))


@MODELS.register_module()
class AMNet(MapRefiner[Tensor], EncoderDecoder):
    """Network whose maps start from seeds and image labels (AMN).

    Trains an :class:`AMNHead` (``decode_head``) on the confident labels of a
    first stage. Predicts maps of the labelled classes with
    :func:`~mmlpcam.ops.gated_maps`, which looks at these labels again. Stored
    maps of the first stage tell the labels and the size of an image.
    ``test_cfg`` takes

    - bg_thr (float): Score of the background plane, in [0, 1]. Defaults to
      0.25.
    - scales (Sequence[float]): Factors of the image size. Defaults to (1.0,
      0.5, 1.5, 2.0).
    - flip (bool): Whether to fuse mirror images. Defaults to True.

    Args:
        *args: See :class:`EncoderDecoder`.
        seed_dir (str, optional): Folder of the masks that it learned from.
            Defaults to None, which is enough for training.
        **kwargs: See :class:`MapRefiner` and :class:`EncoderDecoder`.
    """

    map_type = 'amn'
    defaults = dict(bg_thr=0.25, scales=(1.0, 0.5, 1.5, 2.0), flip=True)

    def __init__(self, *args, seed_dir: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.seed_dir = seed_dir

    def refine(self, images: Tensor, maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Compute the maps of a batch.

        Args:
            images (Tensor): Normalised images of shape (N, 3, H, W).
            maps (Sequence[ActivationMaps]): Maps of the first stage.
            data_samples (list[:obj:`SegDataSample`]): Their samples.

        Returns:
            list[ActivationMaps]: N maps at the size of the image.

        Raises:
            FileNotFoundError: If an image has no mask in `seed_dir`.
            ValueError: If there is no `seed_dir`, or a mask has another size.
        """
        if self.seed_dir is None:
            raise ValueError('AMNet predicts from the masks that it learned '
                             'from: set model.seed_dir to their folder')
        check_no_stage(self.seed_dir, 'model.seed_dir')
        labels = multi_hot([seeds.labels for seeds in maps],
                           images.new_empty(len(images), self.num_classes - 1))
        logits = []
        scales, flip = self.test_cfg['scales'], self.test_cfg['flip']
        for _, views in scaled_views(images, scales, flip):
            found = self.decode_head(
                self.extract_feat(views),
                labels.repeat(len(views) // len(images), 1))
            logits.append(flip_average(found) if flip else found)
        refined = []
        for i, (seeds, sample) in enumerate(zip(maps, data_samples)):
            seed = _read_seed(self.seed_dir, sample.image_id, seeds.size)
            planes = gated_maps([scale[i] for scale in logits], seeds.labels,
                                seed.to(images.device), seeds.size)
            refined.append(self.refined(seeds, planes[1:]))
        return refined


def _read_seed(seed_dir: str, image_id: str, size: tuple[int, int]) -> Tensor:
    path = Path(seed_dir) / f'{image_id}.png'
    mask = read_index_mask(path)
    if mask.shape != tuple(size):
        raise ValueError(f'{path} is {mask.shape} (H, W), but the image '
                         f'is {tuple(size)}: make masks and maps from '
                         'images of one size')
    return torch.from_numpy(mask)
