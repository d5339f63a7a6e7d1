"""IRNet: boundaries between objects, learned from confident labels."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.backbones import ResNet
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmlpcam.ops import (covered_size, flip_average, pair_affinity,
                         random_walk_many)
from mmlpcam.structures import ActivationMaps
from .map_refiner import MapRefiner
from .pair_head import PairHead


@MODELS.register_module()
class StemResNet(ResNet):
    """ResNet whose first output is that of the stem.

    The outputs are those of the maximum pooling, then those of the stages in
    ``out_indices``.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute features.

        Args:
            x (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Features, from fine to coarse.
        """
        if self.deep_stem:
            x = self.stem(x)
        else:
            x = self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        outs = [x]
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


@MODELS.register_module()
class IRNet(MapRefiner[Tensor], EncoderDecoder):
    """Network that finds boundaries, and walks maps up to them.

    Trains an :class:`EdgeHead` (``decode_head``) on confident labels; the
    backbone stays as it is loaded (IRN, arXiv 1904.05044, without its second
    branch, the displacements, which only masks of instances need).

    Predicts masks from stored maps, by :func:`mmlpcam.ops.random_walk`. The
    image is neither padded nor cropped. ``test_cfg`` takes

    - bg_thr (float): Score of the background plane, in [0, 1]: 0.25 in IRN,
      0.35 in LPCAM. Defaults to 0.25.
    - power (float): Power of the maps before the walk: 1 in IRN, 1.3 on maps
      of AMN. Defaults to 1.
    - radius (int), beta (float), num_steps (int), average (bool): See
      :func:`~mmlpcam.ops.random_walk`. Default to 5, 10, 256 and False.

    What predicted samples hold is listed in
    :func:`~mmlpcam.models.map_inference.set_map_prediction`, with the map
    type 'irn'; ``edge`` is a :obj:`PixelData` with the boundaries (1, h, w)
    in [0, 1].

    Args:
        *args: See :class:`EncoderDecoder`.
        **kwargs: See :class:`MapRefiner` and :class:`EncoderDecoder`.
    """

    map_type = 'irn'
    defaults = dict(
        bg_thr=0.25,
        power=1.,
        radius=5,
        beta=10.,
        num_steps=256,
        average=False)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> 'IRNet':
        """Train the head only."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute features of the frozen backbone.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Features, from fine to coarse.
        """
        return super().extract_feat(inputs)

    @torch.no_grad()
    def boundaries(self, inputs: Tensor) -> Tensor:
        """Find boundaries, averaged with those of the mirror image.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            Tensor: (N, h, w) in [0, 1], at the stride of the edge head.
        """
        views = torch.cat([inputs, inputs.flip(-1)])
        logits = self.decode_head(self.extract_feat(views))
        return flip_average(logits.float()).sigmoid()[:, 0]

    def refine(self, images: Tensor, maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Walk maps up to the boundaries.

        Args:
            images (Tensor): Normalised images of shape (N, 3, H, W).
            maps (Sequence[ActivationMaps]): Their maps.
            data_samples (list[:obj:`SegDataSample`]): Their samples, which
                get the boundaries.

        Returns:
            list[ActivationMaps]: N walked maps, on the device of the images.
        """
        walk = dict(self.test_cfg)
        power = walk.pop('power')
        del walk['bg_thr']  # of the mask
        stride = self.decode_head.out_stride
        edges = self.boundaries(images)
        walked = random_walk_many(
            [each.strided(stride).to(edges)**power for each in maps], edges,
            **walk)
        for edge, sample in zip(edges, data_samples):
            sample.set_data(dict(edge=PixelData(data=edge[None])))
        return [
            self.refined(seeds, planes, covered_size(seeds.size, stride))
            for seeds, planes in zip(maps, walked)
        ]


def _enlarge(feats: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return feats
    return F.interpolate(
        feats, scale_factor=factor, mode='bilinear', align_corners=False)


def _crop(feats: Tensor, size: Sequence[int]) -> Tensor:
    return feats[..., :size[0], :size[1]]


@MODELS.register_module()
class EdgeHead(PairHead):
    """Boundaries from several stages of a backbone.

    Each stage gives a few channels (1x1 convolution, group norm), enlarged
    to the finest of the outer grid; their concatenation gives one logit per
    cell. Trained by the affinities that follow from it.

    Args:
        in_channels (Sequence[int]): Channels of each feature.
        strides (Sequence[int]): Pixels of the image per cell of each.
        num_classes (int): Number of classes with the background.
        out_stride (int): Stride of the boundaries. Defaults to 4.
        channels (int): Channels per feature. Defaults to 32.
        num_groups (int): Groups of the norm. Defaults to 4.
        radius (int): Radius of the training pairs, in cells. Defaults to 10.
        init_cfg (dict, optional): Initialisation. Defaults to None: that of
            PyTorch, as in the official code.

    Raises:
        ValueError: If there is not one stride for each feature, or one is no
            multiple of `out_stride`.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 strides: Sequence[int],
                 num_classes: int,
                 *,
                 out_stride: int = 4,
                 channels: int = 32,
                 num_groups: int = 4,
                 radius: int = 10,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, num_classes, radius, init_cfg)
        if len(in_channels) != len(strides):
            raise ValueError(
                'expected one stride for each of the features, but got '
                f'{len(strides)} for {len(in_channels)}')
        if out_stride not in strides or any(s % out_stride for s in strides):
            raise ValueError(
                f'`out_stride` {out_stride} must be one of the strides '
                f'{tuple(strides)}, and the others multiples of it')
        self.strides = tuple(strides)
        self.out_stride = out_stride
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, channels, 1, bias=False),
                nn.GroupNorm(num_groups, channels)) for width in in_channels)
        self.fuse = nn.Conv2d(channels * len(in_channels), 1, 1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute boundary logits.

        Args:
            inputs (Sequence[Tensor]): One feature per stage, (N, D, h, w).

        Returns:
            Tensor: (N, 1, H, W) on the grid of `out_stride`.
        """
        size = inputs[self.strides.index(self.out_stride)].shape[-2:]
        feats = [
            _crop(_enlarge(stage(feat), stride // self.out_stride),
                  size).relu()
            for feat, stage, stride in zip(inputs, self.stages, self.strides)
        ]
        return self.fuse(torch.cat(feats, 1))

    def affinity(self, outputs: Tensor) -> Tensor:
        """Compute affinities, see :func:`mmlpcam.ops.pair_affinity`."""
        return pair_affinity(outputs[:, 0].sigmoid(), self.radius)
