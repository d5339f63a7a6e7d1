"""The last convolution of classification networks."""
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptMultiConfig
from torch import Tensor


@MODELS.register_module()
class PointwiseNeck(BaseModule):
    """Project the last feature map with a 1x1 convolution.

    Classification networks such as MobileNetV2 end in a 1x1 convolution that
    segmentation backbones leave out. Maps made from what follows it see the
    features that ImageNet's classes were told apart by; they are also >= 0,
    so that cosines are. The convolution is named ``conv2`` as in
    MobileNetV2, so that its checkpoints fill it.

    Args:
        in_channels (int): Channels of the last feature map.
        out_channels (int): Channels of the projection.
        norm_cfg (dict): Defaults to batch norm.
        act_cfg (dict): Defaults to ReLU6.
        norm_eval (bool): Whether batch norm keeps to its running statistics
            in training. Defaults to False.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
            self,
            in_channels: int,
            out_channels: int,
            *,
            norm_cfg: ConfigType = dict(type='BN'),  # noqa: B006
            act_cfg: ConfigType = dict(type='ReLU6'),  # noqa: B006
            norm_eval: bool = False,
            init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        self.conv2 = ConvModule(
            in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.norm_eval = norm_eval

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Replace the last of the multi-level features.

        Args:
            inputs (Sequence[Tensor]): Features of the backbone.

        Returns:
            tuple[Tensor, ...]: The same with the last one projected.
        """
        return (*inputs[:-1], self.conv2(inputs[-1]))

    def train(self, mode: bool = True) -> 'PointwiseNeck':
        """Set the mode, except of batch norm under ``norm_eval``."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
