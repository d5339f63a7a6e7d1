"""A report that is one file, and needs no network and no server."""
import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmlpcam.structures import map_title
from mmlpcam.utils import write_bytes

_TEMPLATE = Path(__file__).with_name('report.html')
# Long sides in pixels; the browser enlarges maps, which are smooth.
_PHOTO_SIZE = 320
_MAP_SIZE = 128


@dataclass(frozen=True)
class ReportPhoto:
    """A photo of a report.

    Attributes:
        name (str): How it is called.
        tags (tuple[int, ...]): Its n 0-based foreground classes.
        image (np.ndarray): Pixels (H, W, 3) uint8, RGB.
        maps (Mapping[str, np.ndarray]): (n, H, W) in [0, 1] by map type.
        masks (Mapping[str, np.ndarray]): Masks (H, W) of class indices by
            their titles, all those that the threshold does not change.
        confidence (float): How certain its mask is, in [0, 1].
        truth (np.ndarray, optional): Its true mask (H, W); 255 does not
            count in scores. Defaults to None.
    """
    name: str
    tags: tuple[int, ...]
    image: np.ndarray
    maps: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    confidence: float
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class ReportPatch:
    """A part of a photo that is near to a prototype.

    Attributes:
        image (np.ndarray): Pixels (S, S, 3) uint8, RGB.
        photo (str): Name of the photo.
        similarity (float): Cosine of its feature and the prototype, in
            [-1, 1].
        is_tagged (bool): Whether the photo has the class of the prototype.
    """
    image: np.ndarray
    photo: str
    similarity: float
    is_tagged: bool


@dataclass(frozen=True)
class ReportPrototype:
    """A prototype, or a cluster centre that did not become one.

    Attributes:
        label (int): Its 0-based foreground class.
        side (str): 'class' or 'context'.
        features (int | None): Features in its cluster, if it is known.
        share (float | None): Their share of those of class and side, in
            [0, 1].
        score (float): What the classifier gives it for the class, in [0, 1].
        kept (bool): Whether it is a prototype.
        patches (Sequence[ReportPatch]): The nearest parts of photos, the
            nearest first.
    """
    label: int
    side: str
    features: int | None
    share: float | None
    score: float
    kept: bool
    patches: Sequence[ReportPatch]


@dataclass
class HTMLReport:
    """A report on a run.

    Attributes:
        title (str): Title.
        classes (Sequence[str]): Names of the mask values, background first.
        palette (Sequence[Sequence[int]]): Colours [r, g, b] of the values.
        map_type (str): The maps that give the masks.
        bg_thr (float): Where the slider of the threshold starts, in [0, 1].
            Defaults to 0.5.
        tables (Mapping[str, Sequence[Sequence[str]]]): Tables by their
            titles, each a list of rows of cells, the header first; one
            without rows is left out.
        notes (Sequence[str]): Lines above the tables.
        settings (Mapping[str, str]): Texts by what they are the settings of.
        prototypes (Sequence[ReportPrototype]): Prototypes, by class.
    """
    title: str
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    map_type: str
    bg_thr: float = 0.5
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    prototypes: Sequence[ReportPrototype] = ()
    _photos: list[dict] = field(default_factory=list)

    def add(self, photo: ReportPhoto) -> None:
        """Add a photo, of which small pictures are kept alone.

        Args:
            photo (ReportPhoto): The photo.
        """
        self._photos.append(_embed(photo))

    def write(self, path: str | os.PathLike) -> None:
        """Write the report as an HTML file, whole or not at all.

        Photos are sorted by their confidence, the least first.

        Args:
            path (str | os.PathLike): File name.

        Raises:
            OSError: If it cannot be written.
        """
        kinds = dict.fromkeys(kind for p in self._photos for kind in p['maps'])
        data = dict(
            title=self.title,
            classes=list(self.classes),
            palette=[list(map(int, color)) for color in self.palette],
            kinds=[(kind, map_title(kind)) for kind in kinds],
            kind=self.map_type,
            threshold=self.bg_thr,
            tables=list(self.tables.items()),
            notes=self.notes,
            settings=list(self.settings.items()),
            prototypes=[_embed_prototype(row) for row in self.prototypes],
            photos=sorted(self._photos, key=lambda photo: photo['confidence']))
        # no name may end the script that holds it
        text = json.dumps(data).replace('<', '\\u003c')
        page = _TEMPLATE.read_text(encoding='utf-8').replace('@DATA@', text)
        write_bytes(path, page.encode())


def _embed_prototype(prototype: ReportPrototype) -> dict:
    row = asdict(prototype)
    for patch in row['patches']:
        patch['image'] = _uri(patch['image'], 'JPEG', quality=75)
    return row


def _embed(photo: ReportPhoto) -> dict:
    image = _shrink(photo.image, _PHOTO_SIZE, cv2.INTER_AREA)
    height, width = image.shape[:2]
    return dict(
        name=photo.name,
        tags=list(photo.tags),
        width=width,
        height=height,
        confidence=photo.confidence,
        photo=_uri(image, 'JPEG', quality=80),
        maps={
            kind: [
                _uri((_shrink(each, _MAP_SIZE, cv2.INTER_AREA) *
                      255).round().astype(np.uint8), 'PNG') for each in maps
            ]
            for kind, maps in photo.maps.items()
        },
        layers=[(title, _embed_mask(mask))
                for title, mask in photo.masks.items()],
        truth=None if photo.truth is None else _embed_mask(photo.truth))


def _embed_mask(mask: np.ndarray) -> str:
    return _uri(
        _shrink(mask.astype(np.uint8), _PHOTO_SIZE, cv2.INTER_NEAREST), 'PNG')


def _shrink(image: np.ndarray, side: int, how: int) -> np.ndarray:
    """Make the longer side of an image at most so many pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=how)


def _uri(image: np.ndarray, kind: str, **options: int) -> str:
    with io.BytesIO() as buffer:
        Image.fromarray(image).save(buffer, kind, **options)
        code = base64.b64encode(buffer.getvalue()).decode()
    return f'data:image/{kind.lower()};base64,{code}'
