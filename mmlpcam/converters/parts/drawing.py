"""Draw one scene: objects on a background, with its mask."""
from dataclasses import dataclass

import cv2
import numpy as np

from mmlpcam.datasets.parts import CLASSES
from .scenery import (BACKGROUNDS, Field, Scene, draw_clutter, hsv, mix,
                      soft_step)
from .shapes import (BODY_AREAS, COATS, HUES, TELLING_PARTS, body_distance,
                     draw_buoy)

SPLITS = ('train', 'val')

_TWO_OBJECTS_PROB = 0.4
_FAVORITE_BACKGROUND_PROB = 0.5
_TYPICAL_BODY_PROB = 0.92
_HUE_SPREAD = 0.06
_HIDDEN_PART_PROB = 0.13


@dataclass(frozen=True)
class PartsObject:
    """One drawn object.

    Args:
        label (int): Mask value of the object, in [1, 5].
        bbox (tuple[int, int, int, int]): Box of its visible pixels as
            ``(x1, y1, x2, y2)``, 0-based, the last ones included.
        truncated (bool): Whether it touches the border of the image.
    """

    label: int
    bbox: tuple[int, int, int, int]
    truncated: bool

    @property
    def name(self) -> str:
        """str: Name of the class."""
        return CLASSES[self.label]


@dataclass(frozen=True)
class PartsSample:
    """One drawn image with everything that is known about it.

    Args:
        image (np.ndarray): RGB image, ``(H, W, 3)`` uint8.
        mask (np.ndarray): Class of each pixel, ``(H, W)`` uint8, 0 is the
            background. There are no ignored pixels.
        telling (np.ndarray): Whether a pixel belongs to a telling part,
            ``(H, W)`` bool. Not written to disk.
        objects (tuple[PartsObject, ...]): Its objects, back to front.
    """

    image: np.ndarray
    mask: np.ndarray
    telling: np.ndarray
    objects: tuple[PartsObject, ...]


# --- objects and scenes ---------------------------------------------------


@dataclass(frozen=True)
class _Pose:
    """Where an object is and how large: centre, angle and sizes in pixels."""

    cy: float
    cx: float
    angle: float
    half_length: float
    half_width: float
    part_area: float
    part_at: float  # along the axis, from the middle of the body

    def corners(self) -> np.ndarray:
        """Return the corners of the tight rotated box as (y, x) rows."""
        reach = self.part_at + 1.1 * np.sqrt(self.part_area / 2)
        side = max(self.half_width, np.sqrt(self.part_area / 2))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([
            (self.cy + a * sin + b * cos, self.cx + a * cos - b * sin)
            for a in (-self.half_length, reach) for b in (-side, side)
        ])


def _draw_pose(rng: np.random.Generator, kind: int, shape: tuple[int, int],
               scale: float) -> _Pose:
    """Draw a pose that keeps the object inside the image where it can."""
    h, w = shape
    unit = min(h, w) / 128
    half_length = rng.uniform(28, 40) * scale * unit
    half_width = half_length * rng.uniform(0.48, 0.68)
    share = rng.uniform(0.16, 0.24)
    body_area = BODY_AREAS[kind] * half_length * half_width
    part_area = share / (1 - share) * body_area
    part_at = half_length + 0.5 * np.sqrt(part_area / np.pi)
    pose = None
    for _ in range(20):
        pose = _Pose(
            rng.uniform(0, h), rng.uniform(0, w), rng.uniform(0, 2 * np.pi),
            half_length, half_width, part_area, part_at)
        corners = pose.corners()
        if (corners >= 0).all() and (corners < (h, w)).all():
            break
    return pose


def _axes(pose: _Pose, yy: Field, xx: Field) -> tuple[Field, Field]:
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    along = (xx - pose.cx) * cos + (yy - pose.cy) * sin
    across = (yy - pose.cy) * cos - (xx - pose.cx) * sin
    return along, across


def _place(rng: np.random.Generator, kind: int, taken: np.ndarray, yy: Field,
           xx: Field, scale: float) -> tuple[_Pose, Field]:
    """Find the pose of least overlap with what is there already."""
    best = None
    for _ in range(24):
        pose = _draw_pose(rng, kind, yy.shape, scale)
        along, across = _axes(pose, yy, xx)
        body = body_distance(kind, along, across, pose.half_length,
                             pose.half_width)
        part, _ = draw_buoy(along - pose.part_at, across, pose.part_area)
        footprint = np.maximum(body, part) > 0
        free = footprint & ~taken
        hidden = 1 - free.sum() / max(footprint.sum(), 1)
        # The part must be seen whole, a corner of the body need not.
        cut = 1 - (part > 0).sum() / pose.part_area
        cost = hidden + max(0.0, cut - 0.1)
        if best is None or cost < best[0]:
            best = (cost, pose, body)
        if cost < 0.02:
            break
    return best[1], best[2]


def _pick(rng: np.random.Generator, favorite: int, favorite_prob: float,
          num: int) -> int:
    """Draw ``favorite`` with its probability, else one of the others."""
    if rng.random() < favorite_prob:
        return favorite
    return int((favorite + rng.integers(1, num)) % num)


def _paint_body(rng: np.random.Generator, index: int, dist: Field,
                along: Field, across: Field, unit: float) -> Scene:
    """Colour a body; its dress leans towards class ``index`` (from 0)."""
    dress = _pick(rng, index, _TYPICAL_BODY_PROB, len(COATS))
    coat, hue = COATS[dress], rng.normal(HUES[dress], _HUE_SPREAD)
    zoom = rng.uniform(0.85, 1.2) * unit
    pattern = coat((along + rng.uniform(0, 20)) / zoom, across / zoom)
    saturation = rng.uniform(0.4, 0.6)
    color = mix(
        hsv(hue, saturation + 0.1, rng.uniform(0.25, 0.38)),
        hsv(hue + 0.03, saturation - 0.1, rng.uniform(0.78, 0.95)), pattern)
    rim = soft_step(1.6 * unit - dist)[..., None]
    return color * (1 - 0.75 * rim)


def _paint_object(rng: np.random.Generator, index: int, scene: Scene,
                  mask: np.ndarray, telling: np.ndarray, yy: Field, xx: Field,
                  unit: float, scale: float) -> None:
    """Paint body, part and shadow of class ``index`` (from 0), in place."""
    kind = int(rng.integers(len(BODY_AREAS)))
    pose, body = _place(rng, kind, mask > 0, yy, xx, scale)
    along, across = _axes(pose, yy, xx)
    spin = rng.uniform(0, 2 * np.pi)
    x, y = along - pose.part_at, across
    x, y = (x * np.cos(spin) + y * np.sin(spin),
            y * np.cos(spin) - x * np.sin(spin))
    part, part_color = TELLING_PARTS[index](x, y, pose.part_area)
    body_color = _paint_body(rng, index, body, along, across, unit)

    if rng.random() < _HIDDEN_PART_PROB:  # turned away
        part = np.full_like(part, -np.inf)
    outline = np.maximum(body, part)
    shadow = cv2.GaussianBlur(soft_step(outline), (0, 0), 3 * unit)
    shift = max(1, round(2 * unit))
    shadow = np.roll(shadow, (shift, shift), (0, 1))
    scene *= (1 - 0.35 * shadow)[..., None]
    scene += soft_step(body)[..., None] * (body_color - scene)
    part_color = part_color * (1 - 0.6 * soft_step(1.2 * unit - part))[...,
                                                                       None]
    scene += soft_step(part)[..., None] * (part_color - scene)
    mask[outline > 0] = index + 1
    telling[outline > 0] = False
    telling[part > 0] = True


def _describe(mask: np.ndarray, label: int) -> PartsObject:
    """Return the box of what can be seen of an object."""
    h, w = mask.shape
    rows, cols = np.nonzero(mask == label)
    bbox = (int(cols.min()), int(rows.min()), int(cols.max()), int(rows.max()))
    return PartsObject(
        label=label,
        bbox=bbox,
        truncated=bool(
            min(bbox[:2]) == 0 or bbox[2] == w - 1 or bbox[3] == h - 1))


def draw_parts_sample(seed: int,
                      split: str,
                      index: int,
                      *,
                      size: tuple[int, int] = (128, 128)) -> PartsSample:
    """Draw one image of the dataset.

    Args:
        seed (int): Seed of the dataset, not negative.
        split (str): 'train' or 'val'; both have different images.
        index (int): Index of the image in its split, from 0.
        size (tuple[int, int]): Image size as ``(H, W)``.
            Defaults to (128, 128).

    Returns:
        PartsSample: Image, mask and objects. It depends on the arguments
        only, not on images drawn before.

    Raises:
        ValueError: If ``split`` is unknown.

    Example:
        >>> sample = draw_parts_sample(0, 'train', 3)
        >>> sample.image.shape, sample.mask.dtype
        ((128, 128, 3), dtype('uint8'))
    """
    if split not in SPLITS:
        raise ValueError(f'`split` must be one of {SPLITS}, but got '
                         f'{split!r}')
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    h, w = size
    unit = min(h, w) / 128
    yy, xx = np.mgrid[:h, :w].astype(np.float64)
    num_classes = len(CLASSES) - 1

    classes = [index % num_classes]  # every class is equally frequent
    if rng.random() < _TWO_OBJECTS_PROB:
        classes.append(
            int((classes[0] + rng.integers(1, num_classes)) % num_classes))
    favorite = classes[rng.integers(len(classes))]
    background = BACKGROUNDS[_pick(rng, favorite, _FAVORITE_BACKGROUND_PROB,
                                   len(BACKGROUNDS))]
    scene = background(rng, yy, xx, unit)
    draw_clutter(rng, scene, yy, xx, unit)

    mask = np.zeros((h, w), np.uint8)
    telling = np.zeros((h, w), bool)
    scale = 1.0 if len(classes) == 1 else 0.84
    for label in classes:
        _paint_object(rng, label, scene, mask, telling, yy, xx, unit, scale)

    light = 1 + rng.uniform(-0.15, 0.15) + rng.uniform(
        -0.12, 0.12) * (xx / w - 0.5) + rng.uniform(-0.12, 0.12) * (
            yy / h - 0.5)
    scene = scene * light[..., None] * rng.uniform(0.95, 1.05, 3)
    scene += rng.normal(0, 0.02, scene.shape)
    image = np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8)

    objects = tuple(_describe(mask, label + 1) for label in classes)
    return PartsSample(image, mask, telling, objects)
