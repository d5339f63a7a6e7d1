"""Segmentor that fuses several scales of the image inside the network."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList, add_prefix
from torch import Tensor


@MODELS.register_module()
class MultiScaleSegmentor(EncoderDecoder):
    """EncoderDecoder that takes the maximum of the logits over scales.

    One and the same network sees the image in its own size and at `scales`.
    The logits of `scales` are resized to those of the image itself and fused
    by elementwise maximum. Training has the losses of the decode head on the
    logits of each scale, in their own resolution, and on the fused ones: the
    target is resized to the logits, not the logits to the target.
    Predictions come from the fused logits.

    Source: DeepLab (Chen et al., TPAMI 2018,
    https://arxiv.org/abs/1606.00915), Sec. 4.1, 'multi-scale inputs'; the
    losses in low resolution are those of its Caffe models and of
    deeplab-pytorch.

    Args:
        *args: See :class:`EncoderDecoder`.
        scales (Sequence[float]): Factors of the image size beside 1.
            Defaults to (0.5, 0.75), as in the paper.
        **kwargs: See :class:`EncoderDecoder`. There can be no
            ``auxiliary_head``.

    Raises:
        ValueError: If a scale is 1 or not positive, if there are none, or
            if there is an auxiliary head.
    """

    def __init__(self, *args, scales: Sequence[float] = (0.5, 0.75),
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not scales or min(scales) <= 0 or 1 in scales:
            raise ValueError(
                '`scales` must be factors > 0 other than 1, which is always '
                f'there, but got {scales}; without any use EncoderDecoder')
        if self.with_auxiliary_head:
            raise ValueError(
                'MultiScaleSegmentor has losses at each scale in the place of '
                'an auxiliary head: set auxiliary_head=None')
        self.scales = tuple(scales)

    def multi_scale_logits(self, inputs: Tensor) -> dict[str, Tensor]:
        """Compute the logits of each scale and the fused ones.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            dict[str, Tensor]: 'x1', then one such key for each scale (for
            example 'x0.5'), with logits (N, C, h, w) of its own size, and
            'max', their maximum in the size of 'x1'.
        """
        logits = dict(x1=self.decode_head(self.extract_feat(inputs)))
        for scale in self.scales:
            scaled = F.interpolate(
                inputs,
                scale_factor=scale,
                mode='bilinear',
                align_corners=self.align_corners)
            logits[f'x{scale:g}'] = self.decode_head(self.extract_feat(scaled))
        size = logits['x1'].shape[-2:]
        fused = [
            F.interpolate(
                level,
                size=size,
                mode='bilinear',
                align_corners=self.align_corners) for level in logits.values()
        ]
        return dict(**logits, max=torch.stack(fused).amax(0))

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of each scale and of the fused logits.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).
            data_samples (list[:obj:`SegDataSample`]): Samples with
                ``gt_sem_seg``, int64 of shape (1, H, W).

        Returns:
            dict[str, Tensor]: For each key of :meth:`multi_scale_logits` what
            the decode head yields, such as 'decode_max.loss_ce' and
            'decode_max.acc_seg'. The total loss is the sum of the losses.
        """
        losses = dict()
        for name, logits in self.multi_scale_logits(inputs).items():
            resized = [
                _with_target_size(sample, logits.shape[-2:])
                for sample in data_samples
            ]
            losses.update(
                add_prefix(
                    self.decode_head.loss_by_feat(logits, resized),
                    f'decode_{name}'))
        return losses

    def encode_decode(self, inputs: Tensor,
                      batch_img_metas: list[dict]) -> Tensor:
        """Compute fused logits in the size of the images.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).
            batch_img_metas (list[dict]): Metas of the images.

        Returns:
            Tensor: Logits of shape (N, C, H, W).
        """
        return self.decode_head.predict_by_feat(
            self._forward(inputs), batch_img_metas)

    def _forward(self,
                 inputs: Tensor,
                 data_samples: OptSampleList = None) -> Tensor:
        """Compute fused logits (N, C, h, w) at the stride of the network."""
        return self.multi_scale_logits(inputs)['max']


def _with_target_size(sample: SegDataSample,
                      size: Sequence[int]) -> SegDataSample:
    """Return a sample with nothing but the resized target.

    'nearest-exact' looks at the centre of a pixel, as Pillow does; 'nearest'
    would shift the target by half a pixel of the logits.
    """
    target = sample.gt_sem_seg.data[None].float()  # of ints only uint8 works
    target = F.interpolate(target, size=size, mode='nearest-exact')[0].long()
    return SegDataSample(gt_sem_seg=PixelData(data=target))
