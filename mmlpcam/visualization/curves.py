"""Plots of scores over a setting."""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

# Okabe and Ito: told apart by colour-blind readers too.
_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_MARK_STYLES = ('-', '--', ':', '-.')


class Curve(NamedTuple):
    """A line of a plot.

    Attributes:
        name (str): For the legend.
        values (np.ndarray): (T, ) values; NaN leaves a gap.
        style (str): Line style of Matplotlib. Defaults to '-'.
        color (int): Number of the colour, 0 to 5. Defaults to 0.
    """
    name: str
    values: np.ndarray
    style: str = '-'
    color: int = 0


def draw_curves(x: np.ndarray, panels: Mapping[str, Sequence[Curve]],
                marks: Mapping[str,
                               float], title: str, xlabel: str) -> np.ndarray:
    """Draw curves over one setting, in panels below each other.

    Args:
        x (np.ndarray): Values of the setting, (T, ).
        panels (Mapping[str, Sequence[Curve]]): Curves of each panel, by the
            label of its vertical axis, which starts at 0.
        marks (Mapping[str, float]): Named values of the setting, at most 4,
            drawn as vertical lines through all panels.
        title (str): Title.
        xlabel (str): Label of the horizontal axis.

    Returns:
        np.ndarray: (H, W, 3) uint8, RGB.
    """
    # takes longer to import than all of this package
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(9, 1 + 3 * len(panels)), dpi=120, layout='constrained')
    # without pyplot, which would keep the figure and look for a display
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (ylabel, curves) in zip(axes, panels.items()):
        for curve in curves:
            axis.plot(
                x,
                curve.values,
                curve.style,
                color=_COLORS[curve.color],
                # a single point would be no line
                marker='o' if len(x) == 1 else None,
                label=curve.name)
        # named in the legend: beside the lines, names of close ones collide
        for (name, value), style in zip(marks.items(), _MARK_STYLES):
            axis.axvline(
                value,
                color='black',
                linestyle=style,
                linewidth=1,
                label=f'{name}: {value:.2f}' if axis is axes[0] else None)
        axis.set_ylim(bottom=0)
        axis.set_ylabel(ylabel)
        axis.grid(alpha=0.25)
        axis.spines[['top', 'right']].set_visible(False)
        axis.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
    axes[0].margins(x=0.02)
    axes[-1].set_xlabel(xlabel)
    figure.suptitle(title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
