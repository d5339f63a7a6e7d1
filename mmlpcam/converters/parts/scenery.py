"""Noise, colors, backgrounds and clutter of the scenes."""
import colorsys
from collections.abc import Callable

import cv2
import numpy as np

Field = np.ndarray  # (H, W) float64
Scene = np.ndarray  # (H, W, 3) float64 in [0, 1], RGB

# --- noise and colours ----------------------------------------------------


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int],
                 cell: tuple[float, float] | float) -> Field:
    """Draw noise in [0, 1] whose grains are about ``cell`` = (h, w) wide."""
    h, w = shape
    cell_h, cell_w = cell if isinstance(cell, tuple) else (cell, cell)
    grid = rng.random(
        (max(2, round(h / cell_h)) + 1, max(2, round(w / cell_w)) + 1))
    field = cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(field, 0, 1)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return a color, (3, ) float64 in [0, 1]; the hue wraps around."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def mix(low: np.ndarray, high: np.ndarray, share: Field) -> Scene:
    """Mix two colors by the share of the second at each pixel."""
    return low + (high - low) * share[..., None]


def soft_step(field: Field, width: float = 1.0) -> Field:
    """Turn a signed field into a mask in [0, 1] with a soft edge."""
    return np.clip(0.5 + field / width, 0, 1)


# --- backgrounds ----------------------------------------------------------


def _meadow(rng: np.random.Generator, yy: Field, xx: Field,
            unit: float) -> Scene:
    blades = smooth_noise(rng, yy.shape, (7 * unit, 1.5 * unit))
    patches = smooth_noise(rng, yy.shape, 30 * unit)
    hue = rng.uniform(0.23, 0.33)
    return mix(
        hsv(hue + 0.03, 0.6, 0.28), hsv(hue - 0.02, 0.55, 0.66),
        0.7 * blades + 0.3 * patches)


def _water(rng: np.random.Generator, yy: Field, xx: Field,
           unit: float) -> Scene:
    bend = 9 * unit * smooth_noise(rng, yy.shape, (14 * unit, 22 * unit))
    period = rng.uniform(7, 11) * unit
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * (yy + bend) / period)
    glint = smooth_noise(rng, yy.shape, (2 * unit, 8 * unit))
    hue = rng.uniform(0.53, 0.6)
    return mix(
        hsv(hue + 0.02, 0.7, 0.36), hsv(hue, 0.42, 0.74),
        0.55 * waves**2 + 0.45 * glint)


def _sand(rng: np.random.Generator, yy: Field, xx: Field,
          unit: float) -> Scene:
    angle = rng.uniform(0, np.pi)
    bend = 14 * unit * smooth_noise(rng, yy.shape, 26 * unit)
    along = yy * np.sin(angle) + xx * np.cos(angle) + bend
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * along /
                                 (rng.uniform(10, 16) * unit))
    grains = rng.random(yy.shape)
    hue = rng.uniform(0.09, 0.13)
    return mix(
        hsv(hue, 0.42, 0.58), hsv(hue + 0.01, 0.32, 0.88),
        0.6 * ripples + 0.4 * grains)


def _pavement(rng: np.random.Generator, yy: Field, xx: Field,
              unit: float) -> Scene:
    step = rng.uniform(17, 24) * unit
    row = np.floor((yy + rng.uniform(0, step)) / step)
    across = xx + row * step / 2 + rng.uniform(0, step)
    down = yy - row * step
    down = np.mod(yy - down.min(), step)
    joints = np.minimum(down, np.mod(across, step)) < 1.6 * unit
    speckle = smooth_noise(rng, yy.shape, 2 * unit)
    patches = smooth_noise(rng, yy.shape, 24 * unit)
    hue = rng.uniform(0, 1)
    scene = mix(
        hsv(hue, 0.06, 0.42), hsv(hue, 0.06, 0.72),
        0.5 * speckle + 0.5 * patches)
    scene[joints] *= 0.6
    return scene


def _dusk(rng: np.random.Generator, yy: Field, xx: Field,
          unit: float) -> Scene:
    hue = rng.uniform(0.68, 0.8)
    clouds = (0.6 * smooth_noise(rng, yy.shape, (12 * unit, 36 * unit)) +
              0.4 * smooth_noise(rng, yy.shape, (5 * unit, 12 * unit)))
    depth = yy / yy.shape[0]
    return mix(
        hsv(hue, 0.55, 0.2), hsv(hue + 0.12, 0.42, 0.62),
        np.clip(0.5 * depth + 0.8 * (clouds - 0.3), 0, 1))


# Favourite background of each foreground class, in the order of `CLASSES`.
BACKGROUNDS: tuple[Callable[..., Scene],
                   ...] = (_dusk, _water, _meadow, _sand, _pavement)


def draw_clutter(rng: np.random.Generator, scene: Scene, yy: Field, xx: Field,
                 unit: float) -> None:
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
            color = hsv(rng.random(), 0.12, rng.uniform(0.25, 0.85))
        elif kind == 1:  # twig
            half = rng.uniform(6, 14) * unit
            dist = np.minimum(half - np.abs(along),
                              rng.uniform(0.8, 1.6) * unit - np.abs(across))
            color = hsv(rng.uniform(0.05, 0.1), 0.5, rng.uniform(0.2, 0.5))
        else:  # leaf
            half = rng.uniform(3, 6) * unit
            dist = half - np.abs(along) - 2.2 * np.abs(across)
            color = hsv(rng.random(), 0.55, rng.uniform(0.3, 0.75))
        alpha = soft_step(dist)[..., None]
        shade = 1 + 0.25 * np.clip(across / (4 * unit), -1, 1)[..., None]
        scene += alpha * (np.clip(color * shade, 0, 1) - scene)
