"""Pictures that put the steps of a chain side by side."""
from collections.abc import Sequence

import cv2
import numpy as np

_TITLE_HEIGHT = 22
_GAP = 4
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.45)


def draw_map(image: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Lay an activation map over an image.

    Args:
        image (np.ndarray): (H, W, 3) uint8, RGB.
        score (np.ndarray): (H, W) in [0, 1]: blue is 0, red is 1.

    Returns:
        np.ndarray: (H, W, 3) uint8, RGB.
    """
    heat = cv2.applyColorMap((score.clip(0, 1) * 255).astype(np.uint8),
                             cv2.COLORMAP_JET)[..., ::-1]
    return (0.5 * image + 0.5 * heat).astype(np.uint8)


def draw_mask(image: np.ndarray, mask: np.ndarray,
              palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Lay a mask over an image.

    Args:
        image (np.ndarray): (H, W, 3) uint8, RGB.
        mask (np.ndarray): (H, W) class indices; 0 shows the image, values
            beyond the palette (ignored pixels) are white.
        palette (Sequence[Sequence[int]]): RGB colour per class.

    Returns:
        np.ndarray: (H, W, 3) uint8, RGB.
    """
    colors = np.full((256, 3), 255, np.uint8)
    colors[:len(palette)] = palette
    blended = (0.35 * image + 0.65 * colors[mask]).astype(np.uint8)
    return np.where((mask == 0)[..., None], (0.6 * image).astype(np.uint8),
                    blended)


def draw_panel(rows: Sequence[Sequence[np.ndarray]],
               titles: Sequence[str],
               width: int = 192) -> np.ndarray:
    """Arrange pictures in a titled grid.

    Args:
        rows (Sequence[Sequence[np.ndarray]]): Rows of (H, W, 3) uint8 RGB
            pictures; those of a row have one size.
        titles (Sequence[str]): Title of each column.
        width (int): Width of a column in pixels. Defaults to 192.

    Returns:
        np.ndarray: (H', W', 3) uint8, RGB.

    Raises:
        ValueError: If a row has not one picture per title.
    """
    for number, row in enumerate(rows):
        if len(row) != len(titles):
            raise ValueError(f'row {number} has {len(row)} pictures for '
                             f'{len(titles)} titles')
    lines = [_titles(titles, width)]
    for row in rows:
        height = round(row[0].shape[0] * width / row[0].shape[1])
        cells = [
            cv2.resize(
                cell, (width, height),
                interpolation=cv2.INTER_AREA
                if cell.shape[1] > width else cv2.INTER_NEAREST)
            for cell in row
        ]
        lines.append(_join(cells, axis=1))
    return _join(lines, axis=0)


def draw_legend(classes: Sequence[str], palette: Sequence[Sequence[int]],
                width: int) -> np.ndarray:
    """Name the colours of classes, in as many lines as it takes.

    Args:
        classes (Sequence[str]): Names of the classes to list.
        palette (Sequence[Sequence[int]]): RGB colour of each.
        width (int): Width in pixels. A longer name is cut.

    Returns:
        np.ndarray: (H, width, 3) uint8, RGB.
    """
    lines, left = [], width
    for name, color in zip(classes, palette):
        text_width = cv2.getTextSize(name, *_FONT, 1)[0][0]
        needed = _TITLE_HEIGHT + text_width + 4 * _GAP
        if left + needed > width:
            lines.append(np.full((_TITLE_HEIGHT, width, 3), 255, np.uint8))
            left = 0
        lines[-1][_GAP:-_GAP, left + _GAP:left + _TITLE_HEIGHT - _GAP] = color
        _write(lines[-1], name, left + _TITLE_HEIGHT)
        left += needed
    return np.concatenate(lines)


def _titles(titles: Sequence[str], width: int) -> np.ndarray:
    cells = []
    for title in titles:
        cell = np.full((_TITLE_HEIGHT, width, 3), 255, np.uint8)
        _write(cell, title, 4)
        cells.append(cell)
    return _join(cells, axis=1)


def _write(line: np.ndarray, text: str, left: int) -> None:
    cv2.putText(line, text, (left, _TITLE_HEIGHT - 7), *_FONT, (0, 0, 0), 1,
                cv2.LINE_AA)


def _join(cells: Sequence[np.ndarray], axis: int) -> np.ndarray:
    shape = list(cells[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, np.uint8)
    spaced = [part for cell in cells for part in (cell, gap)][:-1]
    return np.concatenate(spaced, axis=axis)
