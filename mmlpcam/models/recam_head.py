"""ReCAM: maps of a classifier that learned from maps of single classes."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmlpcam.ops import activation_maps, flip_average
from mmlpcam.structures import MapType, register_map_type
from .cam_head import CAMHead
from .map_head import label_vectors

register_map_type(MapType('recam', 'ReCAM', eps=1e-5))


@MODELS.register_module()
class ReCAMHead(CAMHead):
    """Second stage of ReCAM (https://arxiv.org/abs/2203.00962).

    The feature of a class is the mean of the feature map, weighted by the CAM
    of this class. A second classifier learns to tell the features of the
    labelled classes of an image apart, with a softmax; its weights times
    those of the first are what 'recam' maps are made with. These maps say
    which features are clustered; the first classifier scores the centres, as
    in LPCAM: products of two weights are so small that a softmax over them
    hardly tells classes apart. It starts from the weights of a trained
    :class:`CAMHead`.

    Args:
        *args: See :class:`CAMHead`.
        recam_weight (float): Factor of the softmax loss: 1.0 for PASCAL VOC,
            0.1 for MS COCO. Defaults to 1.0.
        use_product (bool): Whether maps multiply the weights of both
            classifiers, as the official code does on PASCAL VOC, or take
            those of the first alone, as it does on MS COCO. Defaults to
            True.
        **kwargs: See :class:`CAMHead`.
    """

    map_types = ('recam', *CAMHead.map_types)
    split_map_type = 'recam'

    def __init__(self,
                 *args,
                 recam_weight: float = 1.0,
                 use_product: bool = True,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.recam_weight = recam_weight
        self.use_product = use_product
        self.recam = nn.Conv2d(
            self.in_channels, self.num_classes - 1, 1, bias=False)

    @property
    def map_weight(self) -> Tensor:
        """Tensor: What 'recam' maps are made with, (C, D)."""
        if not self.use_product:
            return self.weight
        return self.weight * self.recam.weight.flatten(1)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the losses of both classifiers.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                ``img_labels`` in their metainfo.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: 'loss_cls' and 'acc_cls' as of
            :class:`CAMHead`, and 'loss_recam', the softmax loss: the mean
            over the classes of an image, and over the images.
        """
        losses = super().loss(inputs, batch_data_samples, train_cfg)
        feats = self.local_features(inputs)
        cams = activation_maps(feats, self.weight, normalize=False)
        cams = cams / (cams.amax((2, 3), keepdim=True) + 1e-5)
        target = label_vectors(batch_data_samples, cams[:, :, 0, 0]).bool()
        # of the labelled classes alone: all would be C times the features
        image, label = target.nonzero(as_tuple=True)
        area = feats.shape[2] * feats.shape[3]
        pooled = torch.einsum('mhw,mdhw->md', cams[image, label],
                              feats.float()[image]) / area
        logits = F.linear(pooled, self.recam.weight.flatten(1).float())
        each = F.cross_entropy(logits, label, reduction='none')
        each = each / target.sum(1)[image]
        losses['loss_recam'] = self.recam_weight * each.sum() / len(feats)
        return losses

    def maps(self, feats: Sequence[Tensor], map_type: str,
             classes: Sequence[int], *, flip: bool) -> Tensor:
        """Compute maps, see :class:`~mmlpcam.models.map_head.MapHead`."""
        if map_type != 'recam':
            return super().maps(feats, map_type, classes, flip=flip)
        maps = activation_maps(
            self.local_features(feats),
            self.map_weight[[*classes]],
            normalize=False)
        return flip_average(maps) if flip else maps
