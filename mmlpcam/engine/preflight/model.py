"""What can be known of a model before it is trained."""
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.dist import get_world_size
from mmengine.model import revert_sync_batchnorm
from mmengine.structures import PixelData
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmlpcam.models import (AffinityHead, EdgeHead, MapHead, MapSettings,
                            PairHead, find_prototype_head)
from mmlpcam.structures import find_map_type
from ..prototype_builder import PrototypeBuilder

_SIDE = 128  # of the image that goes through the model
_ONE_VALUE = 'more than 1 value per channel'  # PyTorch's words
_OWN = ('mmseg.', 'mmlpcam.')


class ModelCheck:
    """A model as a config describes it, without its weights.

    Args:
        cfg (Config): Config of a run.
    """

    def __init__(self, cfg: Config) -> None:
        model = copy.deepcopy(cfg.model)
        if cfg.get('data_preprocessor') is not None:
            model.setdefault('data_preprocessor', cfg.data_preprocessor)
        self.model: nn.Module = MODELS.build(model)
        self._syncs = is_cuda_available() and any(
            isinstance(module, nn.SyncBatchNorm)
            for module in self.model.modules())
        self.model = revert_sync_batchnorm(self.model)
        self._feats: Sequence[Tensor] = ()

    def check_num_classes(self, classes: Sequence[str]) -> None:
        """Compare the heads with the classes of the data.

        Args:
            classes (Sequence[str]): Classes with the background.

        Raises:
            ValueError: If a head has another number.
        """
        for name, head in self._heads():
            number = getattr(head, 'num_classes', None)
            if isinstance(number, int) and number != len(classes):
                raise ValueError(
                    f'num_classes of {name} ({type(head).__name__}) is '
                    f'{number}, but the data have {len(classes)} classes, '
                    f'with the background: {", ".join(classes)}. Set '
                    f'model.{name}.num_classes={len(classes)}, or correct '
                    'the classes of the dataset')

    @torch.no_grad()
    def check_heads(self) -> None:
        """Compute features, and what the heads make of them.

        Raises:
            RuntimeError: If there are no features.
            ValueError: If a head does not fit them.
        """
        if not isinstance(self.model, EncoderDecoder):
            return
        self.model.eval()
        try:
            self._feats = self.model.extract_feat(
                torch.zeros(1, 3, _SIDE, _SIDE))
        except Exception as error:
            raise RuntimeError('backbone and neck do not work together: '
                               f'{error}') from error
        _check_tuple(self._feats, [head for _, head in self._heads()])
        if isinstance(self._feats, Tensor):
            self._feats = (self._feats, )
        for name, head in self._heads():
            if not hasattr(head, 'in_channels'):
                continue
            index = getattr(head, 'in_index', None)
            try:
                if isinstance(head, BaseDecodeHead):
                    _check_channels(head, self._feats)
                if isinstance(head, PairHead):
                    _check_stages(head, self._feats)
                if isinstance(head, BaseDecodeHead) and not isinstance(
                        head, BaseCascadeDecodeHead):
                    head(self._feats)
            except Exception as error:
                if not self._is_known(head):
                    continue
                raise ValueError(
                    f'model.{name} (in_channels={head.in_channels}' +
                    (f', in_index={index}' if index is not None else '') +
                    ') does not fit the features, whose channels are '
                    f'{[each.shape[1] for each in self._feats]}: '
                    f'{error}') from error

    def check_batch(self, batch: Any, training: bool) -> None:
        """Put real samples through the preprocessor.

        Args:
            batch (Any): What a loader gives.
            training (bool): Whether it is a batch to train on.

        Raises:
            ValueError: If a classifier is to learn without image labels.
        """
        samples = batch.get('data_samples', []) if isinstance(batch,
                                                              Mapping) else []
        if training and any(
                isinstance(head, MapHead) for _, head in self._heads()):
            for sample in samples:
                if 'img_labels' not in sample.metainfo:
                    raise ValueError(
                        'the photos have no `img_labels`, which the head of '
                        'the maps learns from: wrap the dataset in '
                        'ImageLabelDataset')
        if hasattr(self.model, 'data_preprocessor'):
            self.model.data_preprocessor(copy.deepcopy(batch), training)

    def check_training(self, batch_size: int) -> None:
        """Compute the losses of one batch of small empty images.

        Args:
            batch_size (int): Images of the smallest batch of a process.

        Raises:
            ValueError: If batch norm cannot take one image.
            RuntimeError: If the losses cannot be computed.
        """
        if not isinstance(self.model, EncoderDecoder):
            return
        if self._syncs:
            batch_size *= get_world_size()
        batch_size = min(batch_size, 2)
        samples = [
            SegDataSample(
                gt_sem_seg=PixelData(
                    data=torch.zeros(1, _SIDE, _SIDE, dtype=torch.int64)),
                metainfo=dict(
                    img_labels=(0, ),
                    img_shape=(_SIDE, _SIDE),
                    ori_shape=(_SIDE, _SIDE),
                    pad_shape=(_SIDE, _SIDE))) for _ in range(batch_size)
        ]
        self.model.train()
        try:
            with torch.no_grad():
                self.model.loss(
                    torch.zeros(batch_size, 3, _SIDE, _SIDE), samples)
        except Exception as error:
            if _ONE_VALUE in str(error):
                raise ValueError(
                    'a batch of one photo comes up in training, whose pooled '
                    'features are one value for each channel, and batch norm '
                    'takes two or more: set train_dataloader.batch_size to '
                    'at least 2, and train_dataloader.drop_last=True if only '
                    f'the last batch is that small ({error})') from error
            # others may want more of a sample than is known here
            if self._is_known():
                raise RuntimeError('the losses cannot be computed: '
                                   f'{error}') from error

    @torch.no_grad()
    def check_strides(self) -> None:
        """Compare the strides of the heads with those of the features.

        Raises:
            ValueError: If one is another, or the features have a cell more or
                less for the pixels that are left over.
        """
        for name, head in self._heads():
            if isinstance(head, MapHead):
                self._check_maps(f'model.{name}.stride', head, head.settings)
                self._check_rounding(f'model.{name}.rounding', head)
            elif isinstance(head, AffinityHead) and self._feats:
                _check_stride(f'model.{name}.stride',
                              MapSettings(stride=head.stride), self._feats[0])
            elif isinstance(head, EdgeHead) and self._feats:
                for i, stride in enumerate(head.strides):
                    _check_stride(f'model.{name}.strides[{i}]',
                                  MapSettings(stride=stride), self._feats[i])

    @torch.no_grad()
    def check_prototypes(self, builder: PrototypeBuilder) -> None:
        """Look for the head that prototypes are for.

        Args:
            builder (PrototypeBuilder): What will build them.

        Raises:
            TypeError: If there is none, or several.
            ValueError: If the stride of the builder is another, or the bank
                has no room for its clusters.
        """
        head = find_prototype_head(self.model)
        builder.clusterings(head)
        self._check_maps('`stride` of PrototypeBankHook', head,
                         builder.map_settings(head))

    def _check_maps(self, name: str, head: MapHead,
                    settings: MapSettings) -> None:
        kind = _plain_kind(head)
        if kind is not None and self._feats:
            _check_stride(name, settings,
                          head.maps(self._feats, kind, [0], flip=False))

    def _check_rounding(self, name: str, head: MapHead) -> None:
        kind, rounding = _plain_kind(head), head.settings.rounding
        if kind is None or not self._feats:
            return
        side = _SIDE + 1
        try:
            feats = self.model.extract_feat(torch.zeros(1, 3, side, side))
        except Exception:  # a backbone may take no such size
            return
        cells = tuple(head.maps(feats, kind, [0], flip=False).shape[-2:])
        other = 'floor' if rounding == 'ceil' else 'ceil'
        if cells == head.settings.changed(rounding=other).cells((side, side)):
            raise ValueError(
                f'{name} is {rounding!r}, but features of {side} pixels have '
                f'{cells[1]} cells at stride {head.settings.stride}: set it '
                f'to {other!r}')

    def _heads(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield all heads with the names that they have in the config."""
        for name, module in self.model.named_children():
            if 'head' not in name:
                continue
            if isinstance(module, nn.ModuleList):
                for i, head in enumerate(module):
                    yield f'{name}.{i}', head
            else:
                yield name, module

    def _is_known(self, module: nn.Module | None = None) -> bool:
        """Whether a module, or else the model, is of MMSeg or this package."""
        modules = [module] if module is not None else [
            self.model, *(head for _, head in self._heads())
        ]
        return all(type(each).__module__.startswith(_OWN) for each in modules)


def _plain_kind(head: MapHead) -> str | None:
    """Return maps that a head makes without prototypes."""
    return next(
        (kind
         for kind in head.map_types if not find_map_type(kind).needs_bank),
        None)


def _check_tuple(feats: Any, heads: Sequence[nn.Module]) -> None:
    """Refuse what heads would take for several feature maps."""
    is_right = isinstance(feats, tuple | list) and all(
        isinstance(each, Tensor) for each in feats)
    if not is_right and any(
            isinstance(head, MapHead | PairHead) for head in heads):
        raise ValueError(
            'backbone, or neck, must return a tuple of feature maps (N, D, h, '
            f'w), but returns a {type(feats).__name__}: return (x, ) if it is '
            'one')


def _check_stages(head: PairHead, feats: Sequence[Tensor]) -> None:
    found = [each.shape[1] for each in feats]
    if found[:len(head.in_channels)] != [*head.in_channels]:
        raise ValueError('in_channels must be these, or the first of them')


def _check_channels(head: BaseDecodeHead, feats: Sequence[Tensor]) -> None:
    indices, wanted = head.in_index, head.in_channels
    if isinstance(indices, int):
        indices, wanted = [indices], [wanted]
    if head.input_transform == 'resize_concat':
        # BaseDecodeHead has added them up
        wanted = [feats[i].shape[1] for i in indices]
    for index, channels in zip(indices, wanted):
        if not -len(feats) <= index < len(feats):
            raise ValueError(f'there are {len(feats)} features, so none has '
                             f'the in_index {index}')
        if isinstance(head, MapHead) and feats[index].ndim != 4:
            raise ValueError(f'feature {index} is no map (N, D, h, w), but '
                             f'has the shape {tuple(feats[index].shape)}')
        if feats[index].shape[1] != channels:
            raise ValueError(f'in_channels of feature {index} must be '
                             f'{feats[index].shape[1]}')


def _check_stride(name: str, settings: MapSettings, feats: Tensor) -> None:
    cells = tuple(feats.shape[-2:])
    if cells != settings.cells((_SIDE, _SIDE)):
        right = round(_SIDE / cells[1])
        raise ValueError(
            f'{name} is {settings.stride}, but the features have the stride '
            f'{right}: set it to {right}, or change strides and dilations of '
            'the backbone')
