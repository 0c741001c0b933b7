"""Draws kernels with their results, and max pooling in numbers and on the whole image."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from PIL import Image, ImageOps

from experiments.kernels.filters import SIDE, Kernel, Padding, convolve, fixed_kernels, max_pool
from lenet.figures.style import CLASS_COLORS, DIVERGING, GRAY, without_ticks

POOL = 2  # The side of a window in the example with numbers.
IMAGE_POOL = 8  # The side of a window on the whole image, where 2 would be hard to see.
HATCH_COLOR = "#BBBBBB"
EXPLANATIONS: dict[Padding, str] = {
    "valid": "The last row and column are\nignored. They fill no window.",
    "same": "A row and a column are added.\nThey are never the maximum.",
}


def draw(gray: np.ndarray) -> Figure:
    """Draws the kernels with their results, and pooling.

    Args:
        gray: float [height, width] from 0 to 1.
    """
    aspect = min(max(gray.shape[0] / gray.shape[1], 0.4), 1.6)
    heights = [3.9 + 2.6 * aspect, 4.2]
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.1)  # In inches.
    figure = Figure(figsize=(14, sum(heights)), layout=layout)
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=heights, hspace=0.06)
    top, bottom = parts[:, 0]
    _draw_kernels(top, gray, aspect)
    _draw_pooling(bottom, gray)
    return figure


def _draw_kernels(figure: SubFigure, gray: np.ndarray, aspect: float) -> None:
    kernels = fixed_kernels()
    axes = figure.subplots(2, 1 + len(kernels), height_ratios=[1, aspect])
    figure.suptitle(
        "Convolution: a kernel slides over the image. Each output pixel is a weighted sum of "
        f"{SIDE * SIDE} pixels.",
        fontsize=14,
    )
    axes[0, 0].axis("off")
    axes[0, 0].text(
        0.5,
        0.5,
        f"A kernel has {SIDE}×{SIDE} weights.\nEach weight is the number\nshown, divided by the\n"
        "number in the title.\n\nRed: positive.\nBlue: negative.",
        ha="center",
        va="center",
        fontsize=12,
        linespacing=1.5,
        transform=axes[0, 0].transAxes,
    )
    axes[1, 0].imshow(gray, cmap=GRAY, vmin=0, vmax=1)
    axes[1, 0].set_title("The image in gray")
    axes[1, 0].set_xlabel(f"{gray.shape[1]} × {gray.shape[0]} pixels")
    for kernel, above, below in zip(kernels, axes[0, 1:], axes[1, 1:], strict=True):
        _draw_numbers(above, kernel)
        result = convolve(gray, kernel.weights)
        if kernel.signed:
            # With the maximum in place of the quantile, a few sharp edges would make all others
            # pale.
            limit = max(float(np.quantile(np.abs(result), 0.995)), 1e-3)
            below.imshow(result, cmap=DIVERGING, vmin=-limit, vmax=limit)
        else:
            below.imshow(result.clip(0, 1), cmap=GRAY, vmin=0, vmax=1)
        below.set_xlabel(kernel.note)
    for ax in axes.flat:
        without_ticks(ax)


def _draw_numbers(ax: Axes, kernel: Kernel) -> None:
    """A kernel's weights as colours and numbers."""
    # Scaled by the second largest number, because the centre of one kernel is far larger than the
    # other numbers.
    limit = np.sort(np.abs(kernel.numbers), axis=None)[-2] * 1.6
    ax.imshow(kernel.numbers, cmap=DIVERGING, vmin=-limit, vmax=limit)
    for (row, column), number in np.ndenumerate(kernel.numbers):
        color = "white" if abs(number) > limit else "black"
        text = f"{number}".replace("-", "−")
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    ax.set_title(f"{kernel.name}: ÷ {kernel.divisor}")


def _draw_pooling(figure: SubFigure, gray: np.ndarray) -> None:
    figure.suptitle(
        "Max pooling: only the maximum of each window remains. The padding decides what happens if "
        "the windows do not fit.",
        fontsize=14,
    )
    axes = figure.subplots(1, 6, width_ratios=[8, 4.2, 8, 4.2, 7, 7])
    numbers = _thumbnail(gray)
    for index, padding in enumerate(EXPLANATIONS):
        before, after = axes[2 * index : 2 * index + 2]
        _draw_example(before, after, numbers, padding)
        _draw_pooled_image(axes[4 + index], gray, padding)
    for ax in axes:
        without_ticks(ax)
    for ax in axes[:4]:
        ax.set_frame_on(False)


def _draw_example(before: Axes, after: Axes, numbers: np.ndarray, padding: Padding) -> None:
    """Numbers with windows drawn over them, and the maxima that remain."""
    _draw_windows(before, numbers, padding)
    before.set_title(f"“{padding}”: windows of {POOL}×{POOL}")
    before.set_xlabel(EXPLANATIONS[padding])
    pooled = max_pool(numbers, POOL, padding)
    _draw_cells(after, pooled)
    for row, column in np.ndindex(pooled.shape):
        _frame(after, row, column, 1, _color(row, column))
    after.set_xlim(-0.6, 3.6)
    after.set_ylim(3.6, -0.6)
    after.set_title(f"{SIDE}×{SIDE} → {pooled.shape[0]}×{pooled.shape[1]}")


def _draw_pooled_image(ax: Axes, gray: np.ndarray, padding: Padding) -> None:
    coarse = max_pool(gray, IMAGE_POOL, padding)
    ax.imshow(coarse, cmap=GRAY, vmin=0, vmax=1)
    ax.set_title(f"“{padding}”: {IMAGE_POOL}×{IMAGE_POOL}")
    ax.set_xlabel(
        f"{gray.shape[1]} × {gray.shape[0]} → {coarse.shape[1]} × {coarse.shape[0]} pixels"
    )


def _thumbnail(gray: np.ndarray) -> np.ndarray:
    """The centre of the image as 7×7 whole numbers from 0 to 255."""
    image = Image.fromarray(np.round(gray * 255).astype(np.uint8))
    return np.asarray(ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BOX)).astype(float)


def _draw_windows(ax: Axes, numbers: np.ndarray, padding: Padding) -> None:
    """Numbers, the frames of the pooling windows, and a circle around the maximum of each."""
    side = len(numbers)
    covered = side // POOL * POOL if padding == "valid" else -(-side // POOL) * POOL
    _draw_cells(ax, numbers)
    _hatch(ax, side, covered)
    for row, column in np.ndindex(covered // POOL, covered // POOL):
        color = _color(row, column)
        top, left = row * POOL, column * POOL
        _frame(ax, top, left, POOL, color)
        window = numbers[top : top + POOL, left : left + POOL]
        down, right = np.unravel_index(window.argmax(), window.shape)
        ax.plot(left + right, top + down, "o", ms=19, mfc="none", mec=color, mew=1.4)
    ax.set_xlim(-0.6, SIDE + 0.6)
    ax.set_ylim(SIDE + 0.6, -0.6)


def _hatch(ax: Axes, side: int, covered: int) -> None:
    """Hatches the cells that no window covers, and the cells that padding adds."""
    extent = max(side, covered)
    for row, column in np.ndindex(extent, extent):
        added = row >= side or column >= side
        if added or row >= covered or column >= covered:
            background = "white" if added else "none"
            ax.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=background,
                    edgecolor=HATCH_COLOR,
                    linewidth=0,
                    hatch="////",
                )
            )


def _color(row: int, column: int) -> str:
    """The colour of a window: the same before and after pooling, different from its neighbours."""
    return CLASS_COLORS[(row + 2 * column) % 5]


def _frame(ax: Axes, top: int, left: int, side: int, color: str) -> None:
    corner, length = (left - 0.42, top - 0.42), side - 0.16
    ax.add_patch(Rectangle(corner, length, length, fill=False, edgecolor=color, linewidth=2))


def _draw_cells(ax: Axes, numbers: np.ndarray) -> None:
    """Numbers from 0 to 255, each on the gray that it represents."""
    ax.imshow(numbers, cmap=GRAY, vmin=0, vmax=255)
    for (row, column), number in np.ndenumerate(numbers):
        color = "white" if number < 128 else "black"
        ax.text(column, row, f"{number:.0f}", ha="center", va="center", fontsize=8, color=color)
