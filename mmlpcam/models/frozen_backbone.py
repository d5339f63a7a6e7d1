"""A backbone that is not trained."""
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FrozenBackbone(BaseModule):
    """Any backbone as a fixed feature extractor.

    Its weights get no gradient, and it stays in evaluation mode while the
    rest of the model is trained: statistics of batch norm, dropout and
    stochastic depth are those of a test.

    Args:
        backbone (dict): Config of the backbone.
        init_cfg (dict, optional): Initialisation; that of the backbone itself
            is in its config. Defaults to None.
    """

    def __init__(self, backbone: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.backbone.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode of this module, but not that of the backbone."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute features, see the backbone."""
        return self.backbone(x)
