"""The maps of one image, in memory and on disk."""
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmlpcam.ops import (NORMALIZATIONS, full_size_maps, normalize_maps,
                         strided_maps)
from mmlpcam.utils import atomic_path, check_no_stage
from .map_types import MapType


@dataclass(frozen=True)
class ActivationMaps:
    """Activation maps of the n labelled classes of one image.

    They are kept as they were computed, one small array per scale: full-size
    and strided maps follow from these without loss, at a thirtieth of the
    space of the full-size ones.

    Attributes:
        labels (tuple[int, ...]): 0-based foreground classes, n of them.
        scales (Sequence[Tensor]): Maps of each scale, (n, h_s, w_s) float32,
            >= 0, not normalised.
        size (tuple[int, int]): Image size (H, W) in pixels.
        extent (tuple[int, int]): Size of the area that the maps of each scale
            cover, in pixels of the image; at least `size`, see
            :func:`mmlpcam.ops.full_size_maps`.
        source (str): What made them: the name of a
            :class:`~mmlpcam.structures.MapType`.
        normalization (str): How they are brought to [0, 1], see
            :func:`mmlpcam.ops.normalize_maps`. Defaults to 'class'.
        eps (float): The same. Defaults to 0.
    """
    labels: tuple[int, ...]
    scales: Sequence[Tensor]
    size: tuple[int, int]
    extent: tuple[int, int]
    source: str
    normalization: str = 'class'
    eps: float = 0.

    @classmethod
    def of_kind(cls, kind: MapType, labels: Sequence[int],
                scales: Sequence[Tensor], size: tuple[int, int],
                extent: tuple[int, int]) -> 'ActivationMaps':
        """Make maps that are normalised as their kind is.

        Args:
            kind (MapType): What made them.
            labels (Sequence[int]): See the class.
            scales (Sequence[Tensor]): The same.
            size (tuple[int, int]): The same.
            extent (tuple[int, int]): The same.

        Returns:
            ActivationMaps: The maps.
        """
        return cls(
            tuple(labels),
            scales,
            size,
            extent,
            source=kind.name,
            normalization=kind.normalization,
            eps=kind.eps)

    def full(self) -> Tensor:
        """Return the maps at the size of the image.

        Returns:
            Tensor: (n, H, W) float32 in [0, 1].
        """
        return self._fuse([
            full_size_maps(maps[None], self.size, self.extent)[0]
            for maps in self.scales
        ])

    def strided(self, out_stride: int = 4) -> Tensor:
        """Return the maps that the random walk starts from.

        Args:
            out_stride (int): Pixels of the image per cell. Defaults to 4.

        Returns:
            Tensor: (n, ceil(H / 4), ceil(W / 4)) float32 in [0, 1].
        """
        return self._fuse([
            strided_maps(maps[None], self.size, out_stride)[0]
            for maps in self.scales
        ])

    def _fuse(self, resized: list[Tensor]) -> Tensor:
        return normalize_maps(
            reduce(torch.add, resized), self.normalization, self.eps)

    def cpu(self) -> 'ActivationMaps':
        """Return the maps on the CPU."""
        return replace(self, scales=[maps.cpu() for maps in self.scales])

    def save(self, path: str | os.PathLike) -> None:
        """Write the maps to a ``.npz`` file, whole or not at all.

        Args:
            path (str | os.PathLike): File name.
        """
        content = self.encode()
        with atomic_path(path) as tmp:
            tmp.write_bytes(content)

    def encode(self) -> bytes:
        """Return the ``.npz`` file that :meth:`save` writes.

        Returns:
            bytes: The file; equal maps give equal bytes.
        """
        # Any, since by its type one may be the `allow_pickle` of np.savez
        arrays: dict[str, Any] = {
            f'scale_{i}': maps.numpy()
            for i, maps in enumerate(self.cpu().scales)
        }
        file = BytesIO()
        np.savez(
            file,
            labels=np.asarray(self.labels, np.int64),
            size=np.asarray(self.size, np.int64),
            extent=np.asarray(self.extent, np.int64),
            source=np.str_(self.source),
            normalization=np.str_(self.normalization),
            eps=np.float64(self.eps),
            **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'ActivationMaps':
        """Read what :meth:`save` wrote.

        Args:
            path (str | os.PathLike): File name.

        Returns:
            ActivationMaps: The maps, on the CPU.

        Raises:
            ValueError: If the file holds something else.
        """
        try:
            # np.load would take .npy files
            if Path(path).exists() and not zipfile.is_zipfile(path):
                raise ValueError('no whole .npz file')
            with np.load(path, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            return cls(**_checked(arrays))
        except FileNotFoundError:
            raise
        # zlib.error and others: whatever a damaged file brings up
        except Exception as error:
            raise ValueError(
                f'{path} holds no activation maps ({error}): remove it and '
                'run the stage that writes maps again') from error


def _checked(arrays: dict[str, np.ndarray]) -> dict:
    """Turn the arrays of a file into arguments of :class:`ActivationMaps`."""
    shapes = dict(labels=1, size=1, extent=1, source=0, normalization=0, eps=0)
    kinds = dict(
        labels='iu',
        size='iu',
        extent='iu',
        source='U',
        normalization='U',
        eps='f')
    scales = [name for name in arrays if name.startswith('scale_')]
    expected = {*shapes, *(f'scale_{i}' for i in range(len(scales)))}
    if not scales or set(arrays) != expected:
        raise ValueError(f'expected {sorted(shapes)} and scale_0, scale_1, '
                         f'..., but got {sorted(arrays)}')
    for name, ndim in shapes.items():
        array = arrays[name]
        if array.ndim != ndim or array.dtype.kind not in kinds[name]:
            raise ValueError(f'{name} is {array.dtype} of shape '
                             f'{array.shape}')
    labels = tuple(arrays['labels'].tolist())
    size = tuple(arrays['size'].tolist())
    extent = tuple(arrays['extent'].tolist())
    source, normalization = str(arrays['source']), str(arrays['normalization'])
    eps = float(arrays['eps'])
    if len(set(labels)) != len(labels) or not all(0 <= label < 255
                                                  for label in labels):
        raise ValueError(f'labels {labels} are not different classes in '
                         '[0, 254]')
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f'size {size} is not positive')
    if len(extent) != 2 or any(e < s for e, s in zip(extent, size)):
        raise ValueError(f'extent {extent} does not cover size {size}')
    if not source or normalization not in NORMALIZATIONS:
        raise ValueError(f'source {source!r} or normalization '
                         f'{normalization!r} is unknown')
    if not 0 <= eps < np.inf:
        raise ValueError(f'eps is {eps}')
    maps = [arrays[f'scale_{i}'] for i in range(len(scales))]
    for i, array in enumerate(maps):
        if (array.ndim != 3 or array.dtype.kind not in 'fiu'
                or len(array) != len(labels) or 0 in array.shape[1:]):
            raise ValueError(
                f'scale_{i} is {array.dtype} of shape {array.shape}, but '
                f'there are {len(labels)} labels')
        if not np.isfinite(array).all() or (array < 0).any():
            raise ValueError(f'scale_{i} has values that are negative or not '
                             'finite')
        if normalization == 'none' and array.size and array.max() > 1:
            raise ValueError(f'scale_{i} has values above 1')
    return dict(
        labels=labels,
        scales=[torch.from_numpy(array) for array in maps],
        size=size,
        extent=extent,
        source=source,
        normalization=normalization,
        eps=eps)


def load_maps(map_dir: str | os.PathLike, sample: BaseDataElement,
              size: Sequence[int]) -> ActivationMaps:
    """Read the stored maps of an image.

    Args:
        map_dir (str | os.PathLike): Folder of the maps, as a
            :class:`~mmlpcam.evaluation.PseudoLabelWriter` with
            ``save_maps=True`` leaves it.
        sample (:obj:`BaseDataElement`): Sample with ``image_id`` in its
            metainfo.
        size (Sequence[int]): Size (H, W) of the image.

    Returns:
        ActivationMaps: The maps.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If the folder names a stage, the sample has no
            ``image_id``, or the maps were made for another size.
    """
    if 'image_id' not in sample.metainfo:
        raise ValueError('a sample has no `image_id`, by which its maps are '
                         'found: wrap the dataset in ImageLabelDataset')
    check_no_stage(map_dir, 'model.map_dir')
    path = Path(map_dir) / f'{sample.image_id}.npz'
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist: run the stage that writes maps '
            '(save_maps=True) for all images that are to be refined or '
            'scored')
    maps = ActivationMaps.load(path)
    if maps.size != tuple(size):
        raise ValueError(
            f'{path} holds maps of an image of {maps.size} (H, W), but the '
            f'image is {tuple(size)}: make maps and refine them from images '
            'of one size, without Resize in either test pipeline')
    return maps
