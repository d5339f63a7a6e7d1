"""Heads of MCTformer: maps from attention, PatchCAM and LPCAM."""
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmlpcam.ops import flip_average, prototype_scores, refine_with_affinity
from mmlpcam.structures import MapType, register_map_type
from .map_head import MapHead, label_vectors
from .prototype_head import PrototypeHead

# maps of the official code go from their minimum to their maximum
_fused = partial(MapType, normalization='minmax', eps=1e-8)
register_map_type(MapType('patchcam', 'PatchCAM'))
register_map_type(_fused('patchcam_pa', 'PatchCAM, affinity'))
register_map_type(_fused('mct', 'MCTformer V1'))
register_map_type(_fused('mct_patchcam', 'MCTformer V2'))
register_map_type(
    _fused('mct_lpcam_f', 'MCTformer + LPCAM-F', needs_bank=True))
register_map_type(_fused('mct_lpcam', 'MCTformer + LPCAM', needs_bank=True))


class ClassTokenHead(MapHead):
    """What the heads of both versions do with :class:`MCTransformer`.

    Args:
        *args: See :class:`~mmlpcam.models.MapHead`.
        use_affinity (bool): Whether maps are refined with the attention
            between patches. Defaults to True.
        rounding (str): See :class:`~mmlpcam.models.MapSettings`. Defaults to
            'floor'.
        scales (Sequence[float]): The same. Defaults to (1.0, ).
        **kwargs: See :class:`~mmlpcam.models.MapHead`.
    """

    def __init__(self,
                 *args,
                 use_affinity: bool = True,
                 rounding: str = 'floor',
                 scales: Sequence[float] = (1.0, ),
                 **kwargs) -> None:
        super().__init__(*args, rounding=rounding, scales=scales, **kwargs)
        self.use_affinity = use_affinity

    def classify(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify whole images by their class tokens.

        Args:
            feats (Sequence[Tensor]): Of :class:`MCTransformer`.

        Returns:
            Tensor: Logits (N, C): the mean over the channels of each token.

        Raises:
            ValueError: If the backbone has tokens for other classes.
        """
        number = feats[0].shape[1]
        if number != self.num_classes - 1:
            raise ValueError(
                f'the backbone has {number} class tokens, but the head '
                f'{self.num_classes - 1} classes without the background: set '
                f'num_classes={self.num_classes} of the backbone')
        return feats[0].mean(2)

    def attention_maps(self, feats: Sequence[Tensor], classes: Sequence[int],
                       factor: Tensor | None, flip: bool) -> Tensor:
        """Fuse attention with other maps and refine the product.

        Args:
            feats (Sequence[Tensor]): Of :class:`MCTransformer`, in
                evaluation mode: of N images, or with `flip` of 2N.
            classes (Sequence[int]): The n 0-based foreground classes.
            factor (Tensor, optional): Maps of these, (N or 2N, n, h, w),
                >= 0. None: attention alone.
            flip (bool): Whether there are mirror images to fuse.

        Returns:
            Tensor: Maps (N, n, h, w), float32, >= 0, not normalised.
        """
        _, attention, affinity, _ = feats
        maps = attention[:, [*classes]].float()
        return self.refined(maps if factor is None else maps * factor,
                            affinity, flip)

    def refined(self, maps: Tensor, affinity: Tensor, flip: bool) -> Tensor:
        """Refine the maps of each view, then fuse the views.

        Args:
            maps (Tensor): Maps (N, n, h, w), or with `flip` (2N, n, h, w),
                the mirror images behind the images.
            affinity (Tensor): Attention between patches, (N or 2N, hw, hw).
            flip (bool): Whether there are mirror images to fuse.

        Returns:
            Tensor: Maps (N, n, h, w).
        """
        if self.use_affinity:
            maps = refine_with_affinity(maps, affinity)
        return flip_average(maps) if flip else maps


@MODELS.register_module()
class MCTHead(ClassTokenHead):
    """Head of MCTformer V1: class tokens alone.

    Map type 'mct': attention from class tokens to patches.

    Args:
        *args: See :class:`ClassTokenHead`.
        **kwargs: The same.
    """

    map_types = ('mct', )

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute maps, see :class:`~mmlpcam.models.map_head.MapHead`."""
        self.check_map_type(map_type)
        return self.attention_maps(feats, classes, None, flip)


@MODELS.register_module()
class MCTPatchHead(ClassTokenHead, PrototypeHead):
    """Head of MCTformer V2: class tokens, and PatchCAM on patch tokens.

    Map types:

    - 'patchcam': class activation maps of the patches, not refined: what
      tells foreground from context,
    - 'patchcam_pa', 'mct': PatchCAM alone and attention alone, refined,
    - 'mct_patchcam': their product, refined: MCTformer V2,
    - 'mct_lpcam', 'mct_lpcam_f': LPCAM in the place of PatchCAM.

    The LPCAM paper does not say how it treats what is not its own here. The
    features are the patch tokens that PatchCAM sees; a prototype is
    classified as a constant image would be, by the sum of the nine taps of
    the convolution; and maps of image and mirror image are averaged, not
    features.

    Args:
        *args: See :class:`ClassTokenHead`, and
            :class:`~mmlpcam.models.PrototypeHead` for `num_clusters`.
        **kwargs: The same.
    """

    map_types = ('patchcam', 'patchcam_pa', 'mct', 'mct_patchcam',
                 'mct_lpcam_f', 'mct_lpcam')
    split_map_type = 'patchcam'

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.conv_seg = nn.Conv2d(
            self.in_channels, self.num_classes - 1, 3, padding=1)

    def classify_patches(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify whole images by their patch tokens.

        Args:
            feats (Sequence[Tensor]): Of :class:`MCTransformer`.

        Returns:
            Tensor: Logits (N, C): the mean of PatchCAM.
        """
        return self.conv_seg(self.local_features(feats)).mean((2, 3))

    @torch.no_grad()
    def class_scores(self, centers: Tensor) -> Tensor:
        """Classify centres of patch tokens.

        Args:
            centers (Tensor): Cluster centres at their raw scale, (K, D).

        Returns:
            Tensor: Softmax over the foreground classes, (K, C).
        """
        return prototype_scores(centers, self.conv_seg.weight.sum((2, 3)),
                                self.conv_seg.bias)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the losses of class tokens and patches, 1 to 1.

        Args:
            inputs (Sequence[Tensor]): Of :class:`MCTransformer`.
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                ``img_labels`` in their metainfo.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: 'loss_cls' and 'acc_cls' as of
            :class:`~mmlpcam.models.map_head.MapHead`, and 'loss_patch'.
        """
        losses = super().loss(inputs, batch_data_samples, train_cfg)
        logits = self.classify_patches(inputs)
        target = label_vectors(batch_data_samples, logits)
        losses['loss_patch'] = self.loss_weight * (
            F.multilabel_soft_margin_loss(logits.float(), target.float()))
        return losses

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute maps, see :class:`~mmlpcam.models.map_head.MapHead`.

        Raises:
            ValueError: If it makes no such maps.
            RuntimeError: If the bank is empty.
        """
        self.check_map_type(map_type)
        if map_type == 'mct':
            return self.attention_maps(feats, classes, None, flip)
        local = self.local_features(feats)
        if map_type in ('mct_lpcam', 'mct_lpcam_f'):
            factor = self.bank_maps(local, classes, map_type == 'mct_lpcam')
        else:
            factor = self.conv_seg(local)[:, [*classes]].float().relu()
        if map_type == 'patchcam':
            return flip_average(factor) if flip else factor
        if map_type == 'patchcam_pa':
            return self.refined(factor, feats[2], flip)
        return self.attention_maps(feats, classes, factor, flip)
