# Copyright (c) mmlpcam contributors. Licensed under Apache-2.0.
"""Draw the *parts* dataset: small scenes that make a plain CAM fail.

Every object is a small **telling part**, the same for all objects of its
class, and a large **body**, whose coat and colour only lean towards the
class: most are dressed as usual, a few as any other class. The part is what
a classifier looks for, so the class activation map of its weights peaks
there; the body answers weakly and falls below the threshold. In one of eight
objects the part is turned away, as heads are in photos, which is why bodies
are learned at all. Each class also has a favourite background, so there is
context to confuse an object with.

Nothing here needs torch, a network or a download. An image depends on the
seed, the split and its own index only.
"""
import colorsys
import json
import os
import os.path as osp
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image

CLASSES = ('background', 'beacon', 'buoy', 'glider', 'kite', 'rover')
"""tuple[str, ...]: Class names by mask value, background first."""

PALETTE = [[0, 0, 0], [230, 159, 0], [213, 94, 0], [86, 180, 233],
           [204, 121, 167], [0, 158, 115]]
"""list[list[int]]: RGB colour of each mask value (Okabe and Ito's set)."""

SETTINGS_FILE = 'parts_dataset.json'
SPLITS = ('train', 'val')

# A change of anything that is drawn must raise this number, so that folders
# of an older generator are told apart.
_VERSION = 1
_JPEG_QUALITY = 92
_MIN_SIDE = 48
_MAX_SIDE = 4096

_TWO_OBJECTS_PROB = 0.4
_FAVOURITE_BACKGROUND_PROB = 0.5
_TYPICAL_BODY_PROB = 0.92
_HUE_SPREAD = 0.06
_HIDDEN_PART_PROB = 0.13

_Field = np.ndarray  # (H, W) float64
_Scene = np.ndarray  # (H, W, 3) float64 in [0, 1], RGB


@dataclass(frozen=True)
class PartsSettings:
    """What decides every byte of a generated dataset.

    Args:
        num_train (int): Number of training images, at least 1.
            Defaults to 360.
        num_val (int): Number of validation images, at least 1.
            Defaults to 60.
        size (tuple[int, int]): Image size as ``(H, W)`` in pixels, each in
            [48, 4096]. Defaults to (128, 128).
        seed (int): Seed of all random draws, not negative. Defaults to 0.

    Raises:
        TypeError: If a value is not an integer or ``size`` not a pair.
        ValueError: If a value is out of its range.
    """

    num_train: int = 360
    num_val: int = 60
    size: tuple[int, int] = (128, 128)
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.size, (tuple, list)) or len(self.size) != 2:
            raise TypeError('`size` must be a pair (H, W) of integers, but '
                            f'got {self.size!r}')
        object.__setattr__(self, 'size', tuple(self.size))
        for name, value in (('num_train', self.num_train),
                            ('num_val', self.num_val), ('seed', self.seed),
                            ('size', self.size[0]), ('size', self.size[1])):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f'`{name}` must consist of integers, but got '
                                f'{value!r} of type {type(value).__name__}')
        for name in ('num_train', 'num_val'):
            if getattr(self, name) < 1:
                raise ValueError(f'`{name}` must be at least 1, but got '
                                 f'{getattr(self, name)}')
        if self.seed < 0:
            raise ValueError(f'`seed` must not be negative, but got '
                             f'{self.seed}')
        if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in self.size):
            raise ValueError(
                f'both sides of `size` must lie in [{_MIN_SIDE}, '
                f'{_MAX_SIDE}] pixels, but got (H, W) = {self.size}')

    def num_images(self, split: str) -> int:
        """Return the number of images of a split.

        Args:
            split (str): 'train' or 'val'.

        Returns:
            int: Number of images.
        """
        return {'train': self.num_train, 'val': self.num_val}[split]


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


# --- noise and colours ----------------------------------------------------


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int],
                  cell: tuple[float, float] | float) -> _Field:
    """Draw noise in [0, 1] whose grains are about ``cell`` = (h, w) wide."""
    h, w = shape
    cell_h, cell_w = cell if isinstance(cell, tuple) else (cell, cell)
    grid = rng.random(
        (max(2, round(h / cell_h)) + 1, max(2, round(w / cell_w)) + 1))
    field = cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(field, 0, 1)


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _mix(low: np.ndarray, high: np.ndarray, share: _Field) -> _Scene:
    return low + (high - low) * share[..., None]


def _soft_step(field: _Field, width: float = 1.0) -> _Field:
    """Turn a signed field into a mask in [0, 1] with a soft edge."""
    return np.clip(0.5 + field / width, 0, 1)


# --- backgrounds ----------------------------------------------------------


def _meadow(rng: np.random.Generator, yy: _Field, xx: _Field,
            unit: float) -> _Scene:
    blades = _smooth_noise(rng, yy.shape, (7 * unit, 1.5 * unit))
    patches = _smooth_noise(rng, yy.shape, 30 * unit)
    hue = rng.uniform(0.23, 0.33)
    return _mix(
        _hsv(hue + 0.03, 0.6, 0.28), _hsv(hue - 0.02, 0.55, 0.66),
        0.7 * blades + 0.3 * patches)


def _water(rng: np.random.Generator, yy: _Field, xx: _Field,
           unit: float) -> _Scene:
    bend = 9 * unit * _smooth_noise(rng, yy.shape, (14 * unit, 22 * unit))
    period = rng.uniform(7, 11) * unit
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * (yy + bend) / period)
    glint = _smooth_noise(rng, yy.shape, (2 * unit, 8 * unit))
    hue = rng.uniform(0.53, 0.6)
    return _mix(
        _hsv(hue + 0.02, 0.7, 0.36), _hsv(hue, 0.42, 0.74),
        0.55 * waves**2 + 0.45 * glint)


def _sand(rng: np.random.Generator, yy: _Field, xx: _Field,
          unit: float) -> _Scene:
    angle = rng.uniform(0, np.pi)
    bend = 14 * unit * _smooth_noise(rng, yy.shape, 26 * unit)
    along = yy * np.sin(angle) + xx * np.cos(angle) + bend
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * along /
                                 (rng.uniform(10, 16) * unit))
    grains = rng.random(yy.shape)
    hue = rng.uniform(0.09, 0.13)
    return _mix(
        _hsv(hue, 0.42, 0.58), _hsv(hue + 0.01, 0.32, 0.88),
        0.6 * ripples + 0.4 * grains)


def _pavement(rng: np.random.Generator, yy: _Field, xx: _Field,
              unit: float) -> _Scene:
    step = rng.uniform(17, 24) * unit
    row = np.floor((yy + rng.uniform(0, step)) / step)
    across = xx + row * step / 2 + rng.uniform(0, step)
    down = yy - row * step
    down = np.mod(yy - down.min(), step)
    joints = np.minimum(down, np.mod(across, step)) < 1.6 * unit
    speckle = _smooth_noise(rng, yy.shape, 2 * unit)
    patches = _smooth_noise(rng, yy.shape, 24 * unit)
    hue = rng.uniform(0, 1)
    scene = _mix(
        _hsv(hue, 0.06, 0.42), _hsv(hue, 0.06, 0.72),
        0.5 * speckle + 0.5 * patches)
    scene[joints] *= 0.6
    return scene


def _dusk(rng: np.random.Generator, yy: _Field, xx: _Field,
          unit: float) -> _Scene:
    hue = rng.uniform(0.68, 0.8)
    clouds = (0.6 * _smooth_noise(rng, yy.shape, (12 * unit, 36 * unit)) +
              0.4 * _smooth_noise(rng, yy.shape, (5 * unit, 12 * unit)))
    depth = yy / yy.shape[0]
    return _mix(
        _hsv(hue, 0.55, 0.2), _hsv(hue + 0.12, 0.42, 0.62),
        np.clip(0.5 * depth + 0.8 * (clouds - 0.3), 0, 1))


# Favourite background of each foreground class, in the order of `CLASSES`.
_BACKGROUNDS: tuple[Callable[..., _Scene],
                    ...] = (_dusk, _water, _meadow, _sand, _pavement)


def _draw_clutter(rng: np.random.Generator, scene: _Scene, yy: _Field,
                  xx: _Field, unit: float) -> None:
    """Scatter pebbles, twigs and leaves, whatever the classes, in place."""
    h, w = yy.shape
    for _ in range(rng.integers(5, 12)):
        cy, cx = rng.uniform(0, h), rng.uniform(0, w)
        angle = rng.uniform(0, np.pi)
        along = (xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle)
        across = (yy - cy) * np.cos(angle) - (xx - cx) * np.sin(angle)
        kind = rng.integers(3)
        if kind == 0:  # pebble
            half = rng.uniform(2, 5) * unit
            dist = half - np.hypot(along, across * rng.uniform(1, 1.7))
            color = _hsv(rng.random(), 0.12, rng.uniform(0.25, 0.85))
        elif kind == 1:  # twig
            half = rng.uniform(6, 14) * unit
            dist = np.minimum(half - np.abs(along),
                              rng.uniform(0.8, 1.6) * unit - np.abs(across))
            color = _hsv(rng.uniform(0.05, 0.1), 0.5, rng.uniform(0.2, 0.5))
        else:  # leaf
            half = rng.uniform(3, 6) * unit
            dist = half - np.abs(along) - 2.2 * np.abs(across)
            color = _hsv(rng.random(), 0.55, rng.uniform(0.3, 0.75))
        alpha = _soft_step(dist)[..., None]
        shade = 1 + 0.25 * np.clip(across / (4 * unit), -1, 1)[..., None]
        scene += alpha * (np.clip(color * shade, 0, 1) - scene)


# --- bodies ---------------------------------------------------------------


def _bands(along: _Field, across: _Field) -> _Field:
    return _soft_step(np.sin(2 * np.pi * along / 9), 0.6)


def _stripes(along: _Field, across: _Field) -> _Field:
    return _soft_step(np.sin(2 * np.pi * across / 7), 0.6)


def _spots(along: _Field, across: _Field) -> _Field:
    lattice = (
        np.cos(2 * np.pi * (along + across) / 11) +
        np.cos(2 * np.pi * (along - across) / 11))
    return _soft_step(lattice - 0.6, 0.7)


def _checks(along: _Field, across: _Field) -> _Field:
    lattice = (
        np.sin(2 * np.pi * along / 11) * np.sin(2 * np.pi * across / 11))
    return _soft_step(lattice, 0.35)


def _chevrons(along: _Field, across: _Field) -> _Field:
    return _soft_step(
        np.sin(2 * np.pi * (along + 0.9 * np.abs(across)) / 10), 0.6)


# Typical dress, coat and hue, of each foreground class.
_COATS: tuple[Callable[[_Field, _Field], _Field],
              ...] = (_bands, _spots, _stripes, _checks, _chevrons)
_HUES = (0.58, 0.12, 0.92, 0.45, 0.02)


def _body_distance(kind: int, along: _Field, across: _Field,
                   half_length: float, half_width: float) -> _Field:
    """Return the distance to the outline of a body, positive inside."""
    if kind == 0:  # ellipse
        radius = np.hypot(along / half_length, across / half_width)
        return (1 - radius) * half_width
    if kind == 1:  # capsule
        beyond = np.maximum(np.abs(along) - (half_length - half_width), 0)
        return half_width - np.hypot(beyond, across)
    corner = 0.35 * half_width  # box with round corners
    dx = np.maximum(np.abs(along) - half_length + corner, 0)
    dy = np.maximum(np.abs(across) - half_width + corner, 0)
    return corner - np.hypot(dx, dy)


_BODY_AREAS = (np.pi, 4.0, 4.0)  # in units of half length * half width

# --- telling parts --------------------------------------------------------


def _polygon_distance(x: _Field, y: _Field, sides: int,
                      radius: float) -> _Field:
    """Return the distance to a regular polygon, positive inside."""
    sector = 2 * np.pi / sides
    angle = np.mod(np.arctan2(y, x), sector) - sector / 2
    return radius * np.cos(sector / 2) - np.hypot(x, y) * np.cos(angle)


def _draw_beacon(x: _Field, y: _Field, area: float) -> tuple:
    """Draw a yellow star with a dark core."""
    radius = np.sqrt(area / 2.0)
    r = np.hypot(x, y)
    sector = 2 * np.pi / 5
    angle = np.abs(np.mod(np.arctan2(y, x), sector) - sector / 2)
    outline = radius * (0.55 + 0.55 * (angle / (sector / 2))**1.5)
    color = _mix(
        _hsv(0.15, 0.95, 0.98), _hsv(0.08, 0.9, 0.3),
        _soft_step(0.35 * radius - r))
    return (outline - r) * 0.8, color


def _draw_buoy(x: _Field, y: _Field, area: float) -> tuple:
    """Draw a red disc with a white ring."""
    radius = np.sqrt(area / np.pi)
    r = np.hypot(x, y)
    color = _mix(
        _hsv(0.99, 0.92, 0.86), np.full(3, 0.97),
        _soft_step(0.18 * radius - np.abs(r - 0.55 * radius)))
    return radius - r, color


def _draw_glider(x: _Field, y: _Field, area: float) -> tuple:
    """Draw a cyan triangle with two dark bars."""
    radius = np.sqrt(area / 1.299)
    bars = np.abs(np.abs(x + 0.05 * radius) - 0.22 * radius)
    color = _mix(
        _hsv(0.5, 0.9, 0.95), _hsv(0.62, 0.8, 0.22),
        _soft_step(0.1 * radius - bars))
    return _polygon_distance(x, y, 3, radius), color


def _draw_kite(x: _Field, y: _Field, area: float) -> tuple:
    """Draw a magenta diamond with a white cross."""
    radius = np.sqrt(area / 2)
    color = _mix(
        _hsv(0.86, 0.85, 0.88), np.full(3, 0.97),
        _soft_step(0.13 * radius - np.minimum(np.abs(x), np.abs(y))))
    return _polygon_distance(x, y, 4, radius), color


def _draw_rover(x: _Field, y: _Field, area: float) -> tuple:
    """Draw a green cog wheel with a black hub."""
    radius = np.sqrt(area / 3.0)
    r = np.hypot(x, y)
    teeth = 1 + 0.13 * np.tanh(3 * np.cos(8 * np.arctan2(y, x)))
    color = _mix(
        _hsv(0.31, 0.9, 0.8), _hsv(0.31, 0.5, 0.08),
        _soft_step(0.42 * radius - r))
    return radius * teeth - r, color


_TELLING_PARTS: tuple[Callable[[_Field, _Field, float], tuple],
                      ...] = (_draw_beacon, _draw_buoy, _draw_glider,
                              _draw_kite, _draw_rover)

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
    body_area = _BODY_AREAS[kind] * half_length * half_width
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


def _axes(pose: _Pose, yy: _Field, xx: _Field) -> tuple[_Field, _Field]:
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    along = (xx - pose.cx) * cos + (yy - pose.cy) * sin
    across = (yy - pose.cy) * cos - (xx - pose.cx) * sin
    return along, across


def _place(rng: np.random.Generator, kind: int, taken: np.ndarray, yy: _Field,
           xx: _Field, scale: float) -> tuple[_Pose, _Field]:
    """Find the pose of least overlap with what is there already."""
    best = None
    for _ in range(24):
        pose = _draw_pose(rng, kind, yy.shape, scale)
        along, across = _axes(pose, yy, xx)
        body = _body_distance(kind, along, across, pose.half_length,
                              pose.half_width)
        part, _ = _draw_buoy(along - pose.part_at, across, pose.part_area)
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


def _pick(rng: np.random.Generator, favourite: int, favourite_prob: float,
          num: int) -> int:
    """Draw ``favourite`` with its probability, else one of the others."""
    if rng.random() < favourite_prob:
        return favourite
    return int((favourite + rng.integers(1, num)) % num)


def _paint_body(rng: np.random.Generator, index: int, dist: _Field,
                along: _Field, across: _Field, unit: float) -> _Scene:
    """Colour a body; its dress leans towards class ``index`` (from 0)."""
    dress = _pick(rng, index, _TYPICAL_BODY_PROB, len(_COATS))
    coat, hue = _COATS[dress], rng.normal(_HUES[dress], _HUE_SPREAD)
    zoom = rng.uniform(0.85, 1.2) * unit
    pattern = coat((along + rng.uniform(0, 20)) / zoom, across / zoom)
    saturation = rng.uniform(0.4, 0.6)
    color = _mix(
        _hsv(hue, saturation + 0.1, rng.uniform(0.25, 0.38)),
        _hsv(hue + 0.03, saturation - 0.1, rng.uniform(0.78, 0.95)), pattern)
    rim = _soft_step(1.6 * unit - dist)[..., None]
    return color * (1 - 0.75 * rim)


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
    favourite = classes[rng.integers(len(classes))]
    background = _BACKGROUNDS[_pick(rng, favourite, _FAVOURITE_BACKGROUND_PROB,
                                    len(_BACKGROUNDS))]
    scene = background(rng, yy, xx, unit)
    _draw_clutter(rng, scene, yy, xx, unit)

    mask = np.zeros((h, w), np.uint8)
    telling = np.zeros((h, w), bool)
    scale = 1.0 if len(classes) == 1 else 0.84
    for index_ in classes:
        kind = int(rng.integers(len(_BODY_AREAS)))
        pose, body = _place(rng, kind, mask > 0, yy, xx, scale)
        along, across = _axes(pose, yy, xx)
        spin = rng.uniform(0, 2 * np.pi)
        x, y = along - pose.part_at, across
        x, y = (x * np.cos(spin) + y * np.sin(spin),
                y * np.cos(spin) - x * np.sin(spin))
        part, part_color = _TELLING_PARTS[index_](x, y, pose.part_area)
        body_color = _paint_body(rng, index_, body, along, across, unit)

        if rng.random() < _HIDDEN_PART_PROB:  # turned away
            part = np.full_like(part, -np.inf)
        outline = np.maximum(body, part)
        shadow = cv2.GaussianBlur(_soft_step(outline), (0, 0), 3 * unit)
        shift = max(1, round(2 * unit))
        shadow = np.roll(shadow, (shift, shift), (0, 1))
        scene *= (1 - 0.35 * shadow)[..., None]
        scene += _soft_step(body)[..., None] * (body_color - scene)
        part_color = part_color * (
            1 - 0.6 * _soft_step(1.2 * unit - part))[..., None]
        scene += _soft_step(part)[..., None] * (part_color - scene)
        mask[outline > 0] = index_ + 1
        telling[outline > 0] = False
        telling[part > 0] = True

    light = 1 + rng.uniform(-0.15, 0.15) + rng.uniform(
        -0.12, 0.12) * (xx / w - 0.5) + rng.uniform(-0.12, 0.12) * (
            yy / h - 0.5)
    scene = scene * light[..., None] * rng.uniform(0.95, 1.05, 3)
    scene += rng.normal(0, 0.02, scene.shape)
    image = np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8)

    objects = []
    for index_ in classes:
        rows, cols = np.nonzero(mask == index_ + 1)
        bbox = (int(cols.min()), int(rows.min()), int(cols.max()),
                int(rows.max()))
        objects.append(
            PartsObject(
                label=index_ + 1,
                bbox=bbox,
                truncated=bool(
                    min(bbox[:2]) == 0 or bbox[2] == w - 1
                    or bbox[3] == h - 1)))
    return PartsSample(image, mask, telling, tuple(objects))


# --- writing to disk ------------------------------------------------------


def _voc_xml(name: str, sample: PartsSample) -> bytes:
    """Return the annotation of one image as VOC writes it."""
    root = ElementTree.Element('annotation')

    def add(parent: ElementTree.Element,
            tag: str,
            text: object = None) -> ElementTree.Element:
        child = ElementTree.SubElement(parent, tag)
        child.text = None if text is None else str(text)
        return child

    height, width = sample.mask.shape
    add(root, 'folder', 'parts')
    add(root, 'filename', f'{name}.jpg')
    size = add(root, 'size')
    add(size, 'width', width)
    add(size, 'height', height)
    add(size, 'depth', 3)
    add(root, 'segmented', 1)
    for obj in sample.objects:
        node = add(root, 'object')
        add(node, 'name', obj.name)
        add(node, 'pose', 'Unspecified')
        add(node, 'truncated', int(obj.truncated))
        add(node, 'difficult', 0)
        box = add(node, 'bndbox')
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), obj.bbox):
            add(box, tag, value + 1)  # VOC counts pixels from 1
    ElementTree.indent(root, space='\t')
    return ElementTree.tostring(root, encoding='utf-8') + b'\n'


def save_palette_png(mask: np.ndarray, path: str) -> None:
    """Write a mask as a palette PNG, as PASCAL VOC does.

    Args:
        mask (np.ndarray): Class of each pixel, ``(H, W)`` uint8.
        path (str): File to write.
    """
    image = Image.fromarray(mask)
    image.putpalette([level for color in PALETTE for level in color])
    image.save(path, format='PNG')


def _read_settings(folder: str) -> dict | None:
    """Return the settings a folder was made with, None where unreadable."""
    try:
        with open(osp.join(folder, SETTINGS_FILE), encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _as_json(settings: PartsSettings) -> dict:
    return dict(
        generator='mmlpcam parts',
        version=_VERSION,
        **{
            **asdict(settings), 'size': list(settings.size)
        })


def _image_name(split: str, index: int) -> str:
    return f'{split}_{index:05d}'


def _first_missing(folder: str, found: dict) -> str | None:
    """Return a file that a dataset lacks, None where it is complete."""
    for split in SPLITS:
        paths = [osp.join('ImageSets', 'Segmentation', f'{split}.txt')]
        for index in range(found[f'num_{split}']):
            name = _image_name(split, index)
            paths += [
                osp.join('JPEGImages', f'{name}.jpg'),
                osp.join('Annotations', f'{name}.xml'),
                osp.join('SegmentationClass', f'{name}.png')
            ]
        for path in paths:
            if not osp.isfile(osp.join(folder, path)):
                return path
    return None


def _needs_making(out_dir: str, wanted: dict, overwrite: bool) -> bool:
    """Tell whether to generate, or raise if ``out_dir`` is in the way."""
    if not osp.lexists(out_dir):
        return True
    if not osp.isdir(out_dir):
        raise NotADirectoryError(
            f'the output must be a folder, but {out_dir!r} is a file; choose '
            'another folder')
    if not os.listdir(out_dir):
        return True
    found = _read_settings(out_dir)
    if found is None or found.get('generator') != wanted['generator']:
        # Never wipe a folder that this generator has not made.
        raise FileExistsError(
            f'{out_dir!r} is not empty and holds no {SETTINGS_FILE} of this '
            'generator, so it is left alone; choose another folder')
    if overwrite:
        return True
    if found == wanted:
        missing = _first_missing(out_dir, found)
        if missing is None:
            return False
        raise FileExistsError(
            f'{out_dir!r} holds this dataset, but {missing!r} is missing; '
            'pass --overwrite (overwrite=True) to make it anew')
    differing = [
        f'{key}: {found.get(key)!r} there, {value!r} asked for'
        for key, value in wanted.items() if found.get(key) != value
    ]
    raise FileExistsError(
        f'{out_dir!r} holds a dataset of other settings '
        f'({"; ".join(differing)}); pass --overwrite (overwrite=True) to '
        'replace it or choose another folder')


def _write(folder: str, settings: PartsSettings, wanted: dict,
           track: Callable[[list], Iterable]) -> None:
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for sub in ('JPEGImages', 'Annotations', 'SegmentationClass',
                'ImageSets/Segmentation'):
        os.makedirs(osp.join(folder, sub))
    tasks = [(split, index) for split in SPLITS
             for index in range(settings.num_images(split))]
    for split, index in track(tasks):
        sample = draw_parts_sample(
            settings.seed, split, index, size=settings.size)
        name = _image_name(split, index)
        names[split].append(name)
        Image.fromarray(sample.image).save(
            osp.join(folder, 'JPEGImages', f'{name}.jpg'),
            format='JPEG',
            quality=_JPEG_QUALITY)
        save_palette_png(sample.mask,
                         osp.join(folder, 'SegmentationClass', f'{name}.png'))
        with open(osp.join(folder, 'Annotations', f'{name}.xml'), 'wb') as xml:
            xml.write(_voc_xml(name, sample))
    for split in SPLITS:
        path = osp.join(folder, 'ImageSets', 'Segmentation', f'{split}.txt')
        with open(path, 'w', encoding='utf-8', newline='\n') as file:
            file.writelines(f'{name}\n' for name in names[split])
    path = osp.join(folder, SETTINGS_FILE)
    with open(path, 'w', encoding='utf-8', newline='\n') as file:
        json.dump(wanted, file, indent=2)
        file.write('\n')


def make_parts_dataset(
        out_dir: str | os.PathLike,
        settings: PartsSettings | None = None,
        *,
        overwrite: bool = False,
        track: Callable[[list], Iterable] | None = None) -> bool:
    """Write the dataset in the folder layout of PASCAL VOC.

    Images go to ``JPEGImages``, boxes to ``Annotations``, masks (values 0 to
    5, no ignored pixels) to ``SegmentationClass`` and the lists to
    ``ImageSets/Segmentation``. All is written into a temporary folder beside
    ``out_dir`` and renamed at the end, so that an interrupted run leaves
    nothing half.

    Args:
        out_dir (str | os.PathLike): Folder to make; its parents are made
            where missing.
        settings (PartsSettings, optional): What to draw. Defaults to None,
            which means ``PartsSettings()``.
        overwrite (bool): Whether to make a dataset of this generator that
            is there already anew. Other folders are never replaced.
            Defaults to False.
        track (Callable, optional): Wraps the list of images to draw, for
            instance in a progress bar. Defaults to None.

    Returns:
        bool: False if ``out_dir`` holds the very same dataset already and
        was left alone, else True.

    Raises:
        FileExistsError: If ``out_dir`` holds a dataset of other settings or
            one that lacks files, and ``overwrite`` is not set, or if it
            holds anything else.
        NotADirectoryError: If ``out_dir`` is a file.
        OSError: If ``out_dir`` cannot be written.
    """
    settings = settings or PartsSettings()
    out_dir = osp.realpath(os.fspath(out_dir))  # keeps a link a link
    wanted = _as_json(settings)
    if not _needs_making(out_dir, wanted, overwrite):
        return False

    parent, base = osp.split(out_dir)
    try:
        os.makedirs(parent, exist_ok=True)
        temp_dir = tempfile.mkdtemp(prefix=f'.{base}.', dir=parent)
    except OSError as error:
        raise type(error)(
            error.errno, f'the dataset cannot be written to {out_dir!r} '
            f'({error.strerror}); choose a folder you may write to') from error
    try:
        made = osp.join(temp_dir, 'new')
        os.mkdir(made)
        _write(made, settings, wanted, track or iter)
        old = osp.join(temp_dir, 'old')
        if osp.isdir(out_dir):
            os.rename(out_dir, old)
        try:
            os.rename(made, out_dir)
        except BaseException:
            if osp.isdir(old):
                os.rename(old, out_dir)
            raise
    finally:
        shutil.rmtree(temp_dir, ignore_errors=True)
    return True
