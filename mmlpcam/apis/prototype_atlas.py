"""The patches of photos that prototypes stand for."""
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mmlpcam.engine import ClusterTable
from mmlpcam.models import find_prototype_head
from mmlpcam.models.map_inference import without_padding
from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.visualization import ReportPatch, ReportPrototype

# Cells of the feature map that a patch is wide: what a feature sees is
# larger, but its centre counts most.
_PATCH_CELLS = 6
_PATCH_SIZE = 64  # pixels
_MAX_PATCHES = 6  # of a prototype
# of all prototypes: 3 KB each
_ALL_PATCHES = 2000


class _Key(NamedTuple):
    """Where the bank has a prototype."""
    label: int
    side: str
    number: int


class PrototypeAtlas:
    """The patches of photos that are nearest to each prototype.

    They are compared by the cosine of features at scale 1, as LPCAM maps are
    made. A photo has at most one patch of a prototype, the nearest.

    Args:
        model (EncoderDecoder): Model with a filled
            :class:`~mmlpcam.models.PrototypeBank`, in evaluation mode.
        clusters (ClusterTable, optional): What its checkpoint tells of the
            clusters. Defaults to None: nothing.
    """

    def __init__(self,
                 model: EncoderDecoder,
                 clusters: ClusterTable | None = None) -> None:
        self._model = model
        self._head = head = find_prototype_head(model)
        self._clusters = clusters
        self._keys: list[_Key] = []
        rows = []
        for side in SIDES:
            prototypes = getattr(head.bank, f'{side}_prototypes')
            valid = torch.nonzero(getattr(head.bank, f'{side}_valid'))
            for label, number in valid.tolist():
                self._keys.append(_Key(label, side, number))
                rows.append(prototypes[label, number])
        self._prototypes = torch.stack(rows)
        self._unit = F.normalize(self._prototypes, dim=1)
        self._number = min(_MAX_PATCHES, max(_ALL_PATCHES // len(self._keys),
                                             1))
        self._patches: dict[_Key, list[ReportPatch]] = {
            key: []
            for key in self._keys
        }

    @torch.no_grad()
    def add(self, sample: dict, name: str, photo: np.ndarray) -> None:
        """Look for patches on a photo.

        Args:
            sample (dict): What the test pipeline makes of it, with image
                labels.
            name (str): How it is called.
            photo (np.ndarray): Pixels (H, W, 3) uint8, RGB.
        """
        data = self._model.data_preprocessor(pseudo_collate([sample]))
        meta = data['data_samples'][0].metainfo
        image = without_padding(data['inputs'], [meta])
        feats = self._head.bank.compared(
            self._head.local_features(self._model.extract_feat(image)))[0]
        cosines = self._unit @ F.normalize(feats.float().flatten(1), dim=0)
        size = image.shape[-2:]
        extent = self._head.settings.extent(tuple(size))
        # pixels of the photo, which the pipeline may have resized
        cell = [
            covered / cells * pixels / seen for covered, cells, pixels, seen in
            zip(extent, feats.shape[1:], photo.shape, size)
        ]
        best, where = (each.tolist() for each in cosines.max(1))
        for key, cosine, position in zip(self._keys, best, where):
            found = self._patches[key]
            if len(found) == self._number and cosine <= found[-1].similarity:
                continue
            row, column = divmod(position, feats.shape[2])
            found.append(
                ReportPatch(
                    cut_patch(photo, row, column, cell), name, cosine,
                    key.label in meta['img_labels']))
            found.sort(key=lambda patch: -patch.similarity)
            del found[self._number:]

    def prototypes(self) -> list[ReportPrototype]:
        """Return all prototypes, and the centres that were dropped.

        Returns:
            list[ReportPrototype]: By class, then by side, prototypes first,
            then by the number of features.
        """
        found = []
        for label in range(len(self._head.bank.class_valid)):
            for side in SIDES:
                rows = self._of_class(label, side)
                rows.sort(key=lambda row: (not row.kept, -(row.features or 0)))
                found += rows
        return found

    def _of_class(self, label: int, side: str) -> list[ReportPrototype]:
        keys = [key for key in self._keys if key[:2] == (label, side)]
        rows = self._clusters[label][side] if self._clusters else []
        if sum(kept for *_, kept in rows) != len(keys):
            # of averaged banks, or it is not known
            rows = [(None, score, True) for score in self._scores(keys)]
        total = sum(features or 0 for features, *_ in rows)
        remaining = iter(keys)
        return [
            ReportPrototype(
                label, side, features,
                None if features is None else features / max(total, 1), score,
                kept,
                tuple(self._patches[next(remaining)]) if kept else ())
            for features, score, kept in rows
        ]

    def _scores(self, keys: list[_Key]) -> list[float]:
        """Classify prototypes of one class."""
        if not keys:
            return []
        head = self._head
        chosen = self._prototypes[[self._keys.index(key) for key in keys]]
        scores: Tensor = head.class_scores(head.bank.raw(chosen))
        return scores[:, keys[0].label].tolist()


def cut_patch(photo: np.ndarray, row: int, column: int,
              cell: list[float]) -> np.ndarray:
    """Cut the surroundings of a cell out of a photo.

    Args:
        photo (np.ndarray): Pixels (H, W, 3) uint8.
        row (int): Row of the cell.
        column (int): Its column.
        cell (list[float]): Height and width of a cell in pixels.

    Returns:
        np.ndarray: (64, 64, 3) uint8; all of it is inside of the photo.
    """
    side = min(round(_PATCH_CELLS * max(cell)), *photo.shape[:2])
    top, left = (min(
        max(round((place + .5) * step - side / 2), 0), edge -
        side) for place, step, edge in zip((row, column), cell, photo.shape))
    patch = photo[top:top + side, left:left + side]
    return cv2.resize(
        patch, (_PATCH_SIZE, _PATCH_SIZE), interpolation=cv2.INTER_AREA)
