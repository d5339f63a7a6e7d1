import numpy as np

from mmlpcam.visualization import draw_legend

CLASSES = ('cat', 'dog', 'guinea pig')
PALETTE = [[250, 0, 0], [0, 250, 0], [0, 0, 250]]


def lines_with(legend, color):
    """Numbers of the 22-pixel lines that show a colour."""
    rows = np.flatnonzero((legend == color).all(-1).any(1))
    return sorted({row // 22 for row in rows.tolist()})


def test_legend_breaks_lines():
    wide = draw_legend(CLASSES, PALETTE, 400)
    assert wide.shape == (22, 400, 3) and wide.dtype == np.uint8
    assert [lines_with(wide, color) for color in PALETTE] == [[0], [0], [0]]
    narrow = draw_legend(CLASSES, PALETTE, 130)
    assert narrow.shape == (44, 130, 3)
    assert [lines_with(narrow, color) for color in PALETTE] == [[0], [0], [1]]
    # a name that is longer than a line gets one of its own
    assert draw_legend(CLASSES, PALETTE, 60).shape == (66, 60, 3)


def test_legend_shows_colors_left_to_right():
    legend = draw_legend(CLASSES, PALETTE, 400)
    first = [(legend == color).all(-1).any(0).argmax() for color in PALETTE]
    assert 0 < first[0] < first[1] < first[2]
