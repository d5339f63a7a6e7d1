"""PSA: affinities of cells, learned from labels, spread maps."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmlpcam.ops import affinity_walk_many, covered_size, feature_affinity
from mmlpcam.structures import ActivationMaps, MapType, register_map_type
from .map_refiner import MapRefiner
from .pair_head import PairHead

register_map_type(MapType('psa', 'PSA', normalization='none', is_refined=True))


@MODELS.register_module()
class AffinityHead(PairHead):
    """Features whose distance is an affinity (AffinityNet).

    Each stage of the backbone gives some channels (1x1 convolution, ELU),
    brought to one grid; a 1x1 convolution and ELU mix them
    (https://arxiv.org/abs/1803.10464, Sec. 3.2).

    Args:
        in_channels (Sequence[int]): Channels of each feature of the backbone.
        num_classes (int): Number of classes with the background.
        channels (Sequence[int]): Channels that each gives. Defaults to (64,
            128, 256).
        stride (int): Stride of the grid, which the first feature has.
            Defaults to 8.
        radius (int): Radius of the pairs, in cells. Defaults to 5.
        init_cfg (dict, optional): Initialisation. Defaults to None: that of
            PyTorch.

    Raises:
        ValueError: If there are not as many `channels` as features.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 num_classes: int,
                 *,
                 channels: Sequence[int] = (64, 128, 256),
                 stride: int = 8,
                 radius: int = 5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, num_classes, radius, init_cfg)
        if len(in_channels) != len(channels):
            raise ValueError('expected `channels` for each of the '
                             f'{len(in_channels)} features, but got '
                             f'{len(channels)}')
        self.stride = stride
        self.stages = nn.ModuleList(
            nn.Conv2d(width, own, 1, bias=False)
            for width, own in zip(in_channels, channels))
        self.fuse = nn.Conv2d(sum(channels), sum(channels), 1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the features that pairs are compared by.

        Args:
            inputs (Sequence[Tensor]): One feature per stage, (N, D, h, w).

        Returns:
            Tensor: (N, sum of channels, h, w), on the grid of the first.
        """
        size = inputs[0].shape[-2:]
        feats = [
            F.interpolate(
                F.elu(stage(feat)), size, mode='bilinear', align_corners=False)
            for feat, stage in zip(inputs, self.stages)
        ]
        return F.elu(self.fuse(torch.cat(feats, 1)))

    def affinity(self, outputs: Tensor) -> Tensor:
        """Compute affinities, see :func:`mmlpcam.ops.feature_affinity`."""
        return feature_affinity(outputs, self.radius)


@MODELS.register_module()
class AffinityNet(MapRefiner[Tensor], EncoderDecoder):
    """Network that learns affinities, and spreads maps along them (PSA).

    Trains an :class:`AffinityHead` (``decode_head``) and its backbone on
    confident labels. Predicts from stored maps, averaged over the cells of
    the grid, by :func:`mmlpcam.ops.affinity_walk`. ``test_cfg`` takes

    - bg_thr (float): Score of the background plane, in [0, 1]: constant, so
      that the walk leaves it as it is. Defaults to 0.39, as in MCTformer.
    - beta (float), num_steps (int): See
      :func:`~mmlpcam.ops.affinity_walk`. Default to 8 and 64.

    Args:
        *args: See :class:`EncoderDecoder`.
        **kwargs: See :class:`MapRefiner` and :class:`EncoderDecoder`.
    """

    map_type = 'psa'
    defaults = dict(bg_thr=0.39, beta=8., num_steps=64)

    def refine(self, images: Tensor, maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Spread maps.

        Args:
            images (Tensor): Normalised images of shape (N, 3, H, W).
            maps (Sequence[ActivationMaps]): Their maps.
            data_samples (list[:obj:`SegDataSample`]): Their samples.

        Returns:
            list[ActivationMaps]: N spread maps, on the device of the images.

        Raises:
            ValueError: If the features have not the stride of the head.
        """
        head = self.decode_head
        size = (images.shape[2], images.shape[3])
        extent = covered_size(size, head.stride)
        # a small photo has room for one source at least
        extent = (max(extent[0], head.radius * head.stride),
                  max(extent[1], (2 * head.radius - 1) * head.stride))
        # whole cells, so that maps and features meet
        padding = (0, extent[1] - size[1], 0, extent[0] - size[0])
        feats = head(self.extract_feat(F.pad(images, padding))).float()
        cells = (extent[0] // head.stride, extent[1] // head.stride)
        if tuple(feats.shape[2:]) != cells:
            raise ValueError(
                f'features of {extent} images should be {cells} at stride '
                f'{head.stride}, but are {tuple(feats.shape[2:])}: set '
                '`stride` of AffinityHead to that of the first feature')
        pooled = []
        for seeds in maps:
            full = F.pad(seeds.full().to(feats), padding)
            pooled.append(
                F.avg_pool2d(full, head.stride) if len(full) else full.
                new_zeros(0, *cells))
        walked = affinity_walk_many(
            pooled,
            feature_affinity(feats, head.radius),
            radius=head.radius,
            beta=self.test_cfg['beta'],
            num_steps=self.test_cfg['num_steps'])
        return [
            self.refined(seeds, planes.clamp(max=1.), extent)
            for seeds, planes in zip(maps, walked)
        ]
