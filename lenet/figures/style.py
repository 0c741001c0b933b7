"""What all figures share: sizes, colours, new axes, and pictures of numbers with a colour bar."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

# The Okabe-Ito colours, told apart by colour-blind readers too, the palest left out.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
# Ten classes need ten: the same, with two more.
CLASS_COLORS = (*COLORS[:7], "#8B4513", "#7F7F7F", "#B8B000")
TRAIN_COLOR, TEST_COLOR = COLORS[0], COLORS[1]
GRAY, PERCEPTUAL, DIVERGING = "gray", "viridis", "RdBu_r"
GAP_COLOR = "#F7F0DC"  # Between pictures: in none of the colour maps, so no weight looks like it.
WIDTH = 12.0  # inches; 1,200 pixels at the default 100 dots per inch.


def new_axes(ax: Axes | None, width: float = WIDTH, height: float = 5.0) -> Axes:
    """The given Axes, or those of a new figure of that size in inches."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(ax: Axes) -> Figure:
    """The figure that Axes belong to, at the top."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def show_matrix(
    values: np.ndarray,
    ax: Axes,
    *,
    colormap: str = GRAY,
    limits: tuple[float, float] | None = None,
    bar: str | None = None,
) -> AxesImage:
    """Draws a matrix as a picture, a square or oblong block per number, without smoothing.

    Args:
        values: float [rows, columns], or [rows, columns, 3] from 0 to 1.
        limits: the values for the ends of the colour map; default the least and the greatest.
        bar: what the colour bar measures; without it there is none.
    """
    least, greatest = limits or (None, None)
    colors = colormaps[colormap].with_extremes(bad=GAP_COLOR)
    image = ax.imshow(
        values, cmap=colors, vmin=least, vmax=greatest, interpolation="nearest", aspect="auto"
    )
    if bar is not None:
        figure_of(ax).colorbar(image, ax=ax, label=bar, fraction=0.04, pad=0.01)
    return image


def without_ticks(ax: Axes) -> None:
    """Removes the ticks of an Axes that shows a picture: its pixels have no units."""
    ax.set_xticks([])
    ax.set_yticks([])


def mosaic(
    pictures: np.ndarray, columns: int, gap: int = 1
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Lays pictures out in one array with empty lines between them.

    Args:
        pictures: float [n, height, width] or [n, height, width, 3].
        columns: pictures per row.
        gap: empty pixels between two pictures.

    Returns:
        float [h, w(, 3)] with NaN (white in a picture of colours) in the gaps, and the place of
        the top middle of each picture, x and y in pixels.
    """
    count, height, width = pictures.shape[:3]
    rows = -(-count // columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, *pictures.shape[3:])
    canvas = np.full(size, 1.0 if pictures.ndim == 4 else np.nan)
    places = []
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = picture
        places.append((left + width / 2 - 0.5, top - 0.5))
    return canvas, places
