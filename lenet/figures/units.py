"""What units look for, and which pixels an answer depends on, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lenet.figures.activity import image
from lenet.figures.style import (
    DIVERGING,
    GAP_COLOR,
    WIDTH,
    mosaic,
    new_axes,
    show_matrix,
    without_ticks,
)

OUTSIDE = 0.75  # The gray of the part of a patch that is outside its image.
# The width of one block in a figure, in inches, and the height of its label.
BLOCK, LABEL = 1.25, 0.2
COLUMNS = 9


def blocks(
    pictures: np.ndarray,
    labels: Sequence[str],
    title: str = "",
    columns: int = COLUMNS,
    ax: Axes | None = None,
) -> Axes:
    """Many small pictures, each with a label above it, e.g. one per unit.

    Args:
        pictures: float from 0 to 1, [n, height, width, 1 or 3].
        labels: n short texts.
        columns: the maximum number of pictures in a row.
    """
    count, height, width, _ = pictures.shape
    columns = min(count, columns)
    rows = -(-count // columns)
    lines = 1 + max(label.count("\n") for label in labels)
    # The label needs this many rows of pixels above its picture.
    space = round(width * LABEL * lines / BLOCK) + 1
    gap = max(2, width // 12)
    side = min(BLOCK, WIDTH / columns)
    ax = new_axes(ax, WIDTH, 0.6 + rows * side * (height + space) / (width + gap))
    padded = np.pad(pictures, ((0, 0), (space, 0), (0, gap), (0, 0)), constant_values=1.0)
    canvas, positions = mosaic(np.broadcast_to(padded, (*padded.shape[:3], 3)), columns, gap=0)
    ax.imshow(np.clip(canvas, 0, 1), interpolation="nearest")
    for (x, y), label in zip(positions, labels, strict=True):
        ax.text(
            x - gap / 2, y + space, label, ha="center", va="bottom", fontsize=7.5, linespacing=1.0
        )
    without_ticks(ax)
    ax.set_frame_on(False)
    ax.set_title(title)
    return ax


def cut_out(images: np.ndarray, corners: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """Patches of images. What lies outside an image is light gray.

    Args:
        images: float from 0 to 1, [n, height, width, channels].
        corners: int [n, 2], top and left pixel of each patch, may be outside the image.
        patch: height and width of the patches, in pixels.

    Returns:
        float [n, *patch, channels].
    """
    height, width = patch
    margin = ((0, 0), (height, height), (width, width), (0, 0))
    padded = np.pad(images, margin, constant_values=OUTSIDE)
    return np.stack(
        [
            each[top + height : top + 2 * height, left + width : left + 2 * width]
            for each, (top, left) in zip(padded, corners, strict=True)
        ]
    )


def three_by_three(pictures: np.ndarray) -> np.ndarray:
    """Up to nine pictures as one, row by row, with a coloured gap around each.

    Args:
        pictures: float from 0 to 1, [n, height, width, channels].

    Returns:
        float [3 * height + 4, 3 * width + 4, 3].
    """
    count, height, width, _ = pictures.shape
    canvas = np.full((3 * height + 4, 3 * width + 4, 3), to_rgb(GAP_COLOR))
    for position in range(min(count, 9)):
        top, left = 1 + position // 3 * (height + 1), 1 + position % 3 * (width + 1)
        canvas[top : top + height, left : left + width] = pictures[position]
    return canvas


def attributions(
    shown: np.ndarray, maps: Mapping[str, np.ndarray], notes: Sequence[str], title: str = ""
) -> Figure:
    """An image, and beside it the map of each method, red for the class and blue against it.

    Args:
        shown: uint8 [height, width, channels].
        maps: float [height, width] by method. Each has its own scale, symmetric around 0.
        notes: one line of text under each map.
    """
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, 1 + len(maps))
    image(shown, axes[0], "the image")
    for ax, (method, values), note in zip(axes[1:], maps.items(), notes, strict=True):
        limit = float(np.abs(values).max()) or 1.0
        show_matrix(values, ax, colormap=DIVERGING, limits=(-limit, limit))
        ax.set_aspect("equal")
        without_ticks(ax)
        ax.set_title(method, fontsize=10)
        ax.set_xlabel(note, fontsize=9)
    return figure
