"""Outlines and dresses of bodies, and the telling parts."""
from collections.abc import Callable

import numpy as np

from .scenery import Field, hsv, mix, soft_step

# --- bodies ---------------------------------------------------------------


def _bands(along: Field, across: Field) -> Field:
    return soft_step(np.sin(2 * np.pi * along / 9), 0.6)


def _stripes(along: Field, across: Field) -> Field:
    return soft_step(np.sin(2 * np.pi * across / 7), 0.6)


def _spots(along: Field, across: Field) -> Field:
    lattice = (
        np.cos(2 * np.pi * (along + across) / 11) +
        np.cos(2 * np.pi * (along - across) / 11))
    return soft_step(lattice - 0.6, 0.7)


def _checks(along: Field, across: Field) -> Field:
    lattice = (
        np.sin(2 * np.pi * along / 11) * np.sin(2 * np.pi * across / 11))
    return soft_step(lattice, 0.35)


def _chevrons(along: Field, across: Field) -> Field:
    return soft_step(
        np.sin(2 * np.pi * (along + 0.9 * np.abs(across)) / 10), 0.6)


# Typical dress, coat and hue, of each foreground class.
COATS: tuple[Callable[[Field, Field], Field],
             ...] = (_bands, _spots, _stripes, _checks, _chevrons)
HUES = (0.58, 0.12, 0.92, 0.45, 0.02)


def body_distance(kind: int, along: Field, across: Field, half_length: float,
                  half_width: float) -> Field:
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


BODY_AREAS = (np.pi, 4.0, 4.0)  # in units of half length * half width

# --- telling parts --------------------------------------------------------


def _polygon_distance(x: Field, y: Field, sides: int, radius: float) -> Field:
    """Return the distance to a regular polygon, positive inside."""
    sector = 2 * np.pi / sides
    angle = np.mod(np.arctan2(y, x), sector) - sector / 2
    return radius * np.cos(sector / 2) - np.hypot(x, y) * np.cos(angle)


def _draw_beacon(x: Field, y: Field, area: float) -> tuple:
    """Draw a yellow star with a dark core."""
    radius = np.sqrt(area / 2.0)
    r = np.hypot(x, y)
    sector = 2 * np.pi / 5
    angle = np.abs(np.mod(np.arctan2(y, x), sector) - sector / 2)
    outline = radius * (0.55 + 0.55 * (angle / (sector / 2))**1.5)
    color = mix(
        hsv(0.15, 0.95, 0.98), hsv(0.08, 0.9, 0.3),
        soft_step(0.35 * radius - r))
    return (outline - r) * 0.8, color


def draw_buoy(x: Field, y: Field, area: float) -> tuple:
    """Draw a red disc with a white ring."""
    radius = np.sqrt(area / np.pi)
    r = np.hypot(x, y)
    color = mix(
        hsv(0.99, 0.92, 0.86), np.full(3, 0.97),
        soft_step(0.18 * radius - np.abs(r - 0.55 * radius)))
    return radius - r, color


def _draw_glider(x: Field, y: Field, area: float) -> tuple:
    """Draw a cyan triangle with two dark bars."""
    radius = np.sqrt(area / 1.299)
    bars = np.abs(np.abs(x + 0.05 * radius) - 0.22 * radius)
    color = mix(
        hsv(0.5, 0.9, 0.95), hsv(0.62, 0.8, 0.22),
        soft_step(0.1 * radius - bars))
    return _polygon_distance(x, y, 3, radius), color


def _draw_kite(x: Field, y: Field, area: float) -> tuple:
    """Draw a magenta diamond with a white cross."""
    radius = np.sqrt(area / 2)
    color = mix(
        hsv(0.86, 0.85, 0.88), np.full(3, 0.97),
        soft_step(0.13 * radius - np.minimum(np.abs(x), np.abs(y))))
    return _polygon_distance(x, y, 4, radius), color


def _draw_rover(x: Field, y: Field, area: float) -> tuple:
    """Draw a green cog wheel with a black hub."""
    radius = np.sqrt(area / 3.0)
    r = np.hypot(x, y)
    teeth = 1 + 0.13 * np.tanh(3 * np.cos(8 * np.arctan2(y, x)))
    color = mix(
        hsv(0.31, 0.9, 0.8), hsv(0.31, 0.5, 0.08),
        soft_step(0.42 * radius - r))
    return radius * teeth - r, color


TELLING_PARTS: tuple[Callable[[Field, Field, float], tuple],
                     ...] = (_draw_beacon, draw_buoy, _draw_glider, _draw_kite,
                             _draw_rover)
