"""Image classification head that yields class activation maps."""
from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmlpcam.ops import activation_maps, flip_average, prototype_scores
from .prototype_head import PrototypeHead


@MODELS.register_module()
class CAMHead(PrototypeHead):
    """Multi-label classifier whose weights or prototypes give maps.

    Global average pooling and a bias-free 1x1 convolution.

    Map types:

    - 'cam': class activation maps from the classifier weights,
    - 'lpcam_f': LPCAM without context (class prototypes only),
    - 'lpcam': LPCAM (https://arxiv.org/abs/2303.10334).

    Args:
        *args: See :class:`~mmlpcam.models.prototype_head.PrototypeHead`.
        init_cfg (dict, optional): Defaults to a normal distribution with
            standard deviation 0.01.
        **kwargs: See :class:`~mmlpcam.models.prototype_head.PrototypeHead`.
    """

    map_types: tuple[str, ...] = ('cam', *PrototypeHead.map_types)

    def __init__(
            self,
            *args,
            init_cfg: dict | None = dict(  # noqa: B006
                type='Normal',
                std=0.01,
                override=dict(name='conv_seg')),
            **kwargs) -> None:
        super().__init__(*args, init_cfg=init_cfg, **kwargs)
        self.conv_seg = nn.Conv2d(
            self.in_channels, self.num_classes - 1, 1, bias=False)

    @property
    def weight(self) -> Tensor:
        """Tensor: Classifier weights of shape (C, D), C without background."""
        return self.conv_seg.weight.flatten(1)

    def classify(self, feats: Sequence[Tensor]) -> Tensor:
        """Classify whole images.

        Args:
            feats (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Logits of shape (N, C).
        """
        pooled = F.adaptive_avg_pool2d(self.local_features(feats), 1)
        return self.conv_seg(pooled).flatten(1)

    def class_scores(self, centers: Tensor) -> Tensor:
        """Classify centres of local features.

        Args:
            centers (Tensor): Cluster centres at their raw scale, (K, D).

        Returns:
            Tensor: Softmax over the foreground classes, (K, C).
        """
        return prototype_scores(centers, self.weight.detach())

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute maps.

        CAM takes the mean of the rectified maps of image and mirror image,
        LPCAM compares the mean of their features. Arguments are those of
        :class:`~mmlpcam.models.map_head.MapHead`.
        """
        if map_type != 'cam':
            return super().maps(feats, map_type, classes, flip=flip)
        maps = activation_maps(
            self.local_features(feats),
            self.weight[[*classes]],
            normalize=False)
        return flip_average(maps) if flip else maps
