"""What all figures share: sizes, colours, new axes, and matrices with a colour bar."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from lenet.figures import tiles

# The Okabe-Ito colours without the palest: colour-blind readers can distinguish them too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
# Ten classes need ten colours.
CLASS_COLORS = (*COLORS[:7], "#8B4513", "#7F7F7F", "#B8B000")
TRAIN_COLOR, TEST_COLOR = COLORS[0], COLORS[1]
GRAY, PERCEPTUAL, DIVERGING = "gray", "viridis", "RdBu_r"
GAP_COLOR = "#F7F0DC"  # Between images. No colour map contains it, so no weight looks like it.
BAR_INCHES = 0.8  # For a colour bar, its numbers and its label.
CHARACTER_WIDTH = 0.52  # The mean width of a letter, as a share of the font size.
SMALLEST_NUMBER = 4.0  # Points.
WIDTH = 12.0  # inches; 1,200 pixels at the default 100 dots per inch.


def new_axes(ax: Axes | None, width: float = WIDTH, height: float = 5.0) -> Axes:
    """The given Axes, or the Axes of a new figure of this size in inches."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(ax: Axes) -> Figure:
    """The top-level figure that Axes belong to."""
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
    """Draws a matrix as an image, one block per number, without smoothing.

    Args:
        values: float [rows, columns], or [rows, columns, 3] from 0 to 1.
        limits: the values at the ends of the colour map; default: the minimum and the maximum.
        bar: what the colour bar measures; None for no colour bar.
    """
    minimum, maximum = limits or (None, None)
    colors = colormaps[colormap].with_extremes(bad=GAP_COLOR)
    image = ax.imshow(
        values, cmap=colors, vmin=minimum, vmax=maximum, interpolation="nearest", aspect="auto"
    )
    if bar is not None:
        colour_bar(image, ax, bar)
    return image


def colour_bar(image: AxesImage, ax: Axes, label: str) -> None:
    """Adds a colour bar on the right of Axes, which become narrower by the bar and its labels."""
    figure, share = figure_of(ax), 0.04
    if figure.get_layout_engine() is None:  # Nobody else makes room for the labels.
        share = min(0.4, BAR_INCHES / width_of(ax))
    figure.colorbar(image, ax=ax, label=label, fraction=share, pad=0.01)


def width_of(ax: Axes) -> float:
    """The width of Axes in inches; that of their figure if they are alone in it."""
    figure = figure_of(ax)
    if len(figure.axes) == 1 and ax.get_figure(root=False) is figure:
        return figure.get_figwidth()
    width = ax.get_window_extent().width / figure.dpi
    # A layout engine removes the margins that Axes have until the figure is drawn.
    return width if figure.get_layout_engine() is None else width / 0.775


def set_title(ax: Axes, text: str, size: float = 12, pad: float | None = None) -> None:
    """Sets the title of Axes, in as many lines as their width requires."""
    characters = max(10, int(width_of(ax) * 72 / (CHARACTER_WIDTH * size)))
    lines = [textwrap.fill(line, characters) for line in text.splitlines()]
    ax.set_title("\n".join(lines), fontsize=size, pad=pad)


def number_size(ax: Axes, gap: float, largest: float) -> float:
    """The font size of numbers that stand in the gaps of a mosaic; 0 if they would be too small.

    Args:
        gap: the height of the gaps, in the units of the Axes.
        largest: the size if there is room enough, in points.
    """
    extent, dpi = ax.get_window_extent(), figure_of(ax).dpi
    across, down = np.ptp([ax.get_xlim(), ax.get_ylim()], axis=1)
    points = gap * min(extent.width / across, extent.height / down) * 72 / dpi
    return min(largest, points) if points >= SMALLEST_NUMBER else 0


def counted(number: int, noun: str) -> str:
    """A number with its noun, e.g. "1 kernel" or "6 kernels"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def without_ticks(ax: Axes) -> None:
    """Removes the ticks of Axes that show an image, because pixels have no units."""
    ax.set_xticks([])
    ax.set_yticks([])


def mosaic(
    images: np.ndarray, columns: int, gap: int = 1
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Arranges images in one array with gaps between them.

    Args:
        images: float [n, height, width] or [n, height, width, 3].
        columns: images per row.
        gap: empty pixels between two images.

    Returns:
        float [h, w(, 3)] with NaN (white if there are colours) in the gaps, and the top middle of
        each image, x and y in pixels.
    """
    canvas, corners = tiles.lay_out(images, columns, gap, 1.0 if images.ndim == 4 else np.nan)
    width = images.shape[2]
    return canvas, [(left + width / 2 - 0.5, top - 0.5) for top, left in corners]
