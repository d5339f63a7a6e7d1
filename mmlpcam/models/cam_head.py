"""Image classification head that yields class activation maps."""
import logging
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptMultiConfig, SampleList
from torch import Tensor, nn

from mmlpcam.ops import activation_maps, flip_average
from mmlpcam.structures import ActivationMaps
from .prototype_bank import PrototypeBank

MAP_TYPES = ('cam', 'lpcam_f', 'lpcam')
# The official codes add it to the maximum of CAM, but not of LPCAM.
_NORM_EPS = dict(cam=1e-5, lpcam_f=0., lpcam=0.)


@MODELS.register_module()
class CAMHead(BaseDecodeHead):
    """Multi-label classifier whose weights or prototypes give maps.

    Global average pooling and a bias-free 1x1 convolution, trained with the
    multi-label soft-margin loss on the image labels in
    ``data_sample.img_labels``. It is the ``decode_head`` of a
    :class:`CAMSegmentor`, or an ``auxiliary_head`` of any segmentor.

    Map types:

    - 'cam': class activation maps from the classifier weights,
    - 'lpcam_f': LPCAM without context (class prototypes only),
    - 'lpcam': LPCAM (https://arxiv.org/abs/2303.10334).

    The two last ones need a prototype bank: see
    :class:`~mmlpcam.engine.PrototypeBankHook`.

    Args:
        in_channels (int): Channels D of the feature map.
        num_classes (int): Number of classes with the background, which is
            class 0, as in the dataset.
        num_clusters (int): Room for prototypes per class and side, K of the
            paper: 12 for PASCAL VOC, 20 for MS COCO. Defaults to 12.
        in_index (int): Which backbone output to use. Defaults to -1.
        loss_weight (float): Factor of the loss. Defaults to 1.0.
        align_corners (bool): Read by the segmentor. Defaults to False.
        init_cfg (dict, optional): Defaults to a normal distribution with
            standard deviation 0.01.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        num_clusters: int = 12,
        in_index: int = -1,
        loss_weight: float = 1.0,
        align_corners: bool = False,
        init_cfg: OptMultiConfig = dict(  # noqa: B006
            type='Normal',
            std=0.01,
            override=dict(name='conv_seg'))
    ) -> None:
        if num_classes < 2:
            raise ValueError(
                '`num_classes` counts the background and must be at least 2, '
                f'but got {num_classes}')
        super().__init__(
            in_channels,
            in_channels,
            num_classes=num_classes,
            out_channels=num_classes,
            dropout_ratio=0,
            in_index=in_index,
            align_corners=align_corners,
            init_cfg=init_cfg)
        self.loss_weight = loss_weight
        self.conv_seg = nn.Conv2d(in_channels, num_classes - 1, 1, bias=False)
        self.bank = PrototypeBank(num_classes - 1, num_clusters, in_channels)

    @property
    def weight(self) -> Tensor:
        """Tensor: Classifier weights of shape (C, D), C without background."""
        return self.conv_seg.weight.flatten(1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify each position.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Unnormalised, signed class maps (N, C, h, w).
        """
        return self.conv_seg(self.local_features(inputs))

    def local_features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Pick the feature map that maps and prototypes live on.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Features of shape (N, D, h, w).
        """
        return self._transform_inputs(inputs)

    def classify(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify whole images.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.

        Returns:
            Tensor: Logits of shape (N, C).
        """
        pooled = F.adaptive_avg_pool2d(self.local_features(inputs), 1)
        return self.conv_seg(pooled).flatten(1)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> dict[str, Tensor]:
        """Compute the multi-label soft-margin loss.

        Args:
            inputs (Sequence[Tensor]): Multi-level features.
            batch_data_samples (list[:obj:`SegDataSample`]): Samples with
                ``img_labels`` in their metainfo; masks are not looked at.
            train_cfg (dict): Not needed; part of the interface.

        Returns:
            dict[str, Tensor]: 'loss_cls', and 'acc_cls', the percentage of
            right yes-or-no decisions.

        Raises:
            KeyError: If a sample has no ``img_labels``.
        """
        logits = self.classify(inputs)
        target = torch.zeros_like(logits)
        for row, sample in zip(target, batch_data_samples):
            if 'img_labels' not in sample.metainfo:
                raise KeyError(
                    'a training sample has no `img_labels`: wrap the dataset '
                    'in ImageLabelDataset')
            row[list(sample.img_labels)] = 1
        loss = F.multilabel_soft_margin_loss(logits.float(), target.float())
        accuracy = ((logits > 0) == target.bool()).float().mean() * 100
        return dict(loss_cls=loss * self.loss_weight, acc_cls=accuracy)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict],
                test_cfg: ConfigType) -> Tensor:
        """Refuse: maps need several scales and views of an image."""
        raise TypeError('CAMHead gives maps through CAMSegmentor: set '
                        "model.type='CAMSegmentor'")

    def directions(self, map_type: str) -> Tensor:
        """Return the rows that features are compared to.

        Args:
            map_type (str): 'cam', 'lpcam_f' or 'lpcam'.

        Returns:
            Tensor: (C, D) for :func:`mmlpcam.ops.activation_maps`.

        Raises:
            ValueError: If the map type is unknown.
            RuntimeError: If the bank is empty.
        """
        if map_type not in MAP_TYPES:
            raise ValueError(
                f'expected a map type of {MAP_TYPES}, but got {map_type!r}')
        if map_type == 'cam':
            return self.weight
        if not self.bank.is_built:
            raise RuntimeError(
                f'{map_type!r} maps need prototypes, but the bank is empty: '
                'load a checkpoint trained with PrototypeBankHook and the '
                "same num_clusters, or use map_type='cam'")
        return self.bank.directions(with_context=map_type == 'lpcam')

    @torch.no_grad()
    def multi_scale_maps(self,
                         extract_feat: Callable[[Tensor], Sequence[Tensor]],
                         images: Tensor,
                         labels: Sequence[Sequence[int]],
                         *,
                         map_types: Sequence[str],
                         scales: Sequence[float],
                         flip: bool = True,
                         stride: int = 16) -> list[dict[str, ActivationMaps]]:
        """Compute maps over scales and mirror images.

        CAM sums the rectified maps of image and mirror image, LPCAM compares
        the sum of their features.

        Args:
            extract_feat (Callable): From images (N, 3, H, W) to multi-level
                features, such as the method of the segmentor.
            images (Tensor): Normalised images of shape (N, 3, H, W).
            labels (Sequence[Sequence[int]]): 0-based foreground classes to
                map, for each image.
            map_types (Sequence[str]): See the class.
            scales (Sequence[float]): Factors of the image size; images are
                resized with an antialiased bicubic filter.
            flip (bool): Whether to fuse mirror images. Defaults to True.
            stride (int): Stride of the features in pixels. Defaults to 16.

        Returns:
            list[dict[str, ActivationMaps]]: For each image, its maps of each
            map type.

        Raises:
            ValueError: If the features do not have the stride.
        """
        classes = sorted(set().union(*labels))
        rows = {
            map_type: self.directions(map_type)[classes]
            for map_type in map_types
        } if classes else {}
        found = {map_type: [] for map_type in map_types}
        for scale in scales:
            scaled = _rescale(images, scale)
            cells = [-(-edge // stride) for edge in scaled.shape[-2:]]
            if not classes:  # nothing to look for
                for maps in found.values():
                    maps.append(images.new_zeros(len(images), 0, *cells))
                continue
            views = torch.cat([scaled, scaled.flip(-1)]) if flip else scaled
            feats = self.local_features(extract_feat(views))
            if list(feats.shape[-2:]) != cells:
                raise ValueError(
                    f'features of {tuple(scaled.shape[-2:])} images should be '
                    f'{tuple(cells)} at stride {stride}, but are '
                    f'{tuple(feats.shape[-2:])}: set `stride` to the output '
                    'stride of the backbone')
            fused = flip_average(feats) if flip else feats
            for map_type, directions in rows.items():
                if map_type == 'cam':
                    maps = activation_maps(feats, directions, normalize=False)
                    maps = flip_average(maps) if flip else maps
                else:
                    maps = activation_maps(fused, directions, normalize=True)
                found[map_type].append(maps)
        return [{
            map_type:
            ActivationMaps(
                labels=tuple(present),
                scales=[
                    maps[i, [classes.index(label) for label in present]]
                    for maps in per_scale
                ],
                size=tuple(images.shape[-2:]),
                stride=stride,
                eps=_NORM_EPS[map_type],
                source=map_type)
            for map_type, per_scale in found.items()
        } for i, present in enumerate(labels)]

    def image_labels(self, extract_feat: Callable[[Tensor], Sequence[Tensor]],
                     images: Tensor,
                     metas: Sequence[dict] | None) -> list[tuple[int, ...]]:
        """Take the labels of images, or predict them where there are none.

        Args:
            extract_feat (Callable): As in :meth:`multi_scale_maps`.
            images (Tensor): Normalised images of shape (N, 3, H, W).
            metas (Sequence[dict], optional): Metainfo per image. Labels are
                predicted (probability > 0.5) if any lacks `img_labels`.

        Returns:
            list[tuple[int, ...]]: 0-based foreground classes per image.
        """
        if metas is not None and all('img_labels' in m for m in metas):
            return [tuple(meta['img_labels']) for meta in metas]
        if not getattr(self, '_told_predicted', False):
            self._told_predicted = True
            print_log(
                'Images without image labels: maps are made for the classes '
                'that the classifier itself finds (probability > 0.5).',
                logger='current',
                level=logging.WARNING)
        with torch.no_grad():
            found = self.classify(extract_feat(images)) > 0
        return [tuple(torch.nonzero(row).flatten().tolist()) for row in found]


def find_cam_head(model: EncoderDecoder) -> CAMHead:
    """Find the one CAMHead of a segmentor.

    Args:
        model (EncoderDecoder): Any segmentor.

    Returns:
        CAMHead: Its decode head or auxiliary head.

    Raises:
        TypeError: If it has none, or several.
    """
    heads = [m for m in model.modules() if isinstance(m, CAMHead)]
    if len(heads) != 1:
        raise TypeError(
            f'expected one CAMHead in {type(model).__name__}, but found '
            f'{len(heads)}: make it the decode_head of a CAMSegmentor or an '
            'auxiliary_head of the segmentor')
    return heads[0]


def _rescale(images: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return images
    size = [max(round(edge * scale), 1) for edge in images.shape[-2:]]
    # antialias=True is Pillow's bicubic filter, the official choice
    return F.interpolate(images, size=size, mode='bicubic', antialias=True)
