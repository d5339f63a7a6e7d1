"""Decode head of DeepLabV2."""
from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptMultiConfig
from torch import Tensor, nn


@MODELS.register_module()
class ASPPV2Head(BaseDecodeHead):
    """Atrous spatial pyramid pooling of DeepLabV2.

    Parallel 3x3 convolutions with biases go straight from the features to
    the classes, one for each dilation, and their outputs are summed. Unlike
    mmseg's ``ASPPHead``, which is DeepLabV3's, there is no hidden layer, norm,
    dropout or image pooling. Source: DeepLab (Chen et al., TPAMI 2018,
    https://arxiv.org/abs/1606.00915), Sec. 3.2, as in its ResNet-101.

    Args:
        in_channels (int): Channels D of the feature map.
        num_classes (int): Number of classes C with the background.
        dilations (Sequence[int]): One convolution each, in pixels of the
            feature map. Defaults to (6, 12, 18, 24).
        in_index (int): Which backbone output to use. Defaults to -1.
        loss_decode (dict | Sequence[dict]): One or several losses. Defaults
            to cross-entropy, averaged over the pixels that are not ignored.
        ignore_index (int): Label of the pixels without loss. Defaults to 255.
        align_corners (bool): How logits are resized. Defaults to False.
        init_cfg (dict, optional): Defaults to weights from a normal
            distribution with standard deviation 0.01 and zero biases.

    Raises:
        ValueError: If there are no dilations, or one is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dilations: Sequence[int] = (6, 12, 18, 24),
        in_index: int = -1,
        loss_decode: ConfigType | Sequence[ConfigType] = dict(  # noqa: B006
            type='CrossEntropyLoss', avg_non_ignore=True),
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: OptMultiConfig = dict(  # noqa: B006
            type='Normal', layer='Conv2d', std=0.01)
    ) -> None:
        if not dilations or min(dilations) < 1:
            raise ValueError(
                '`dilations` must be one or more positive integers, but got '
                f'{dilations}')
        super().__init__(
            in_channels,
            in_channels,
            num_classes=num_classes,
            out_channels=num_classes,
            dropout_ratio=0,
            in_index=in_index,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            align_corners=align_corners,
            init_cfg=init_cfg)
        # It would never get a gradient, which DistributedDataParallel refuses.
        del self.conv_seg
        self.convs = nn.ModuleList(
            nn.Conv2d(
                in_channels, num_classes, 3, padding=rate, dilation=rate)
            for rate in dilations)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify each position.

        Args:
            inputs (Sequence[Tensor]): Multi-level features; the chosen one
                has shape (N, D, h, w).

        Returns:
            Tensor: Logits of shape (N, C, h, w).
        """
        feats = self._transform_inputs(inputs)
        return sum(conv(feats) for conv in self.convs)
