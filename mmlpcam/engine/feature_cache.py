"""Local features of photos on disk, made in one pass."""
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mmlpcam.datasets import SegDatasetWrapper
from mmlpcam.models import MapSettings, find_prototype_head
from mmlpcam.models.map_inference import scaled_views, without_padding
from mmlpcam.ops import flip_average
from mmlpcam.structures import ActivationMaps, find_map_type


class CachedPhoto(NamedTuple):
    """All that is needed of a photo to fill a bank and to read it.

    Attributes:
        index (int): Its number.
        maps (ActivationMaps): Maps of its classes that tell foreground from
            context.
        feats (Tensor): Features that prototypes are made of, (D, h, w)
            float32: those of the photo itself at the first scale.
        views (list[Tensor]): Features that maps are read from, one (D, h, w)
            per scale: the mean with those of the mirror image, if asked for.
        truth (Tensor): True mask (H, W), int64.
    """
    index: int
    maps: ActivationMaps
    feats: Tensor
    views: list[Tensor]
    truth: Tensor


class FeatureCache:
    """Features of photos in files, in half precision: one photo in memory.

    Args:
        folder (Path): Existing folder, which gets a few files per photo.

    Attributes:
        labels (list[tuple[int, ...]]): 0-based foreground classes per photo.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: list[tuple[int, ...]] = []
        self._maps: list[ActivationMaps] = []

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, maps: ActivationMaps, feats: Tensor, views: list[Tensor],
            truth: Tensor) -> None:
        """Add a photo, see :class:`CachedPhoto`."""
        index = len(self)
        self._save(index, 'truth', truth.to(torch.uint8))
        for name, value in enumerate([feats, *views]):
            self._save(index, name, value.half())
        self.labels.append(tuple(maps.labels))
        self._maps.append(maps)

    def __iter__(self) -> Iterator[CachedPhoto]:
        for index, maps in enumerate(self._maps):
            feats, *views = (
                self._load(index, name).float()
                for name in range(len(maps.scales) + 1))
            yield CachedPhoto(index, maps, feats, views,
                              self._load(index, 'truth').long())

    def _save(self, index: int, name: str | int, value: Tensor) -> None:
        np.save(self.folder / f'{index}_{name}.npy', value.cpu().numpy())

    def _load(self, index: int, name: str | int) -> Tensor:
        return torch.from_numpy(
            np.load(self.folder / f'{index}_{name}.npy', allow_pickle=False))


@torch.no_grad()
def cache_features(model: EncoderDecoder, dataset: SegDatasetWrapper,
                   settings: MapSettings,
                   folder: Path) -> Iterator[FeatureCache]:
    """Run a model over photos and keep their features.

    Args:
        model (EncoderDecoder): Model with a
            :class:`~mmlpcam.models.PrototypeHead`, in evaluation mode.
        dataset (SegDatasetWrapper): Photos with image labels and true masks.
        settings (MapSettings): Scales and mirror images.
        folder (Path): Existing folder for the features.

    Yields:
        FeatureCache: The cache after each photo.

    Raises:
        ValueError: If a photo has no image labels or no true mask.
    """
    head = find_prototype_head(model)
    kind = find_map_type(head.split_map_type)
    cache = FeatureCache(folder)
    for index in range(len(dataset)):
        data = model.data_preprocessor(pseudo_collate([dataset[index]]))
        sample = data['data_samples'][0]
        if 'img_labels' not in sample or 'gt_sem_seg' not in sample:
            raise ValueError(
                f'{sample.img_path} needs image labels and a true mask: the '
                'dataset of test_dataloader is to be an ImageLabelDataset '
                'whose pipeline has LoadAnnotations')
        image = without_padding(data['inputs'], [sample.metainfo])
        size = tuple(image.shape[-2:])
        if size != tuple(sample.ori_shape[:2]):
            raise ValueError(f'{sample.img_path} is resized to {size}: take '
                             'Resize out of the pipeline of test_dataloader')
        labels = tuple(sample.img_labels)
        feats, views, maps = None, [], []
        for both in scaled_views(image, settings.scales, settings.flip):
            levels = head.with_labels(
                model.extract_feat(both), [labels] * len(both))
            local = head.local_features(levels)
            if feats is None:
                feats = local[0]
            views.append((flip_average(local) if settings.flip else local)[0])
            maps.append(
                head.maps(levels, kind.name, labels, flip=settings.flip)[0]
                if labels else local.new_zeros(0, *local.shape[-2:]))
        cache.add(
            ActivationMaps.of_kind(kind, labels, maps, size,
                                   settings.extent(size)), feats, views,
            sample.gt_sem_seg.data[0])
        yield cache
