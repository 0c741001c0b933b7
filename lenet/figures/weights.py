"""Figures of weights: kernels, the weights of single units, and complete matrices."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from lenet.figures import tiles
from lenet.figures.style import (
    DIVERGING,
    GRAY,
    counted,
    mosaic,
    new_axes,
    number_size,
    set_title,
    show_matrix,
    without_ticks,
)

COLUMNS = 8
# For many units: the maximum and minimum per row, and the figure's side and gaps in weights.
UNIT_COLUMNS, FEWEST_UNIT_COLUMNS, UNIT_PIXELS, UNIT_GAP = 20, 4, 1_000, 2


def kernels(kernel: np.ndarray, name: str = "conv", ax: Axes | None = None) -> Axes:
    """All kernels of a convolution, numbered.

    With one input channel, kernels are gray. Otherwise the first three are red, green and blue.

    Args:
        kernel: float [height, width, inputs, outputs].
        name: the layer's name, for the title.
    """
    height, width, inputs, outputs = kernel.shape
    columns = min(COLUMNS, outputs)
    rows = -(-outputs // columns)
    ax = new_axes(ax, height=1.1 + 12.0 * rows / columns * 0.8)
    if inputs == 1:
        canvas, positions = mosaic(np.moveaxis(kernel[:, :, 0], -1, 0), columns)
        show_matrix(canvas, ax, colormap=GRAY, bar="weight")
        how = "gray shows the weight, see the bar"
    else:
        colours = np.moveaxis(tiles.as_colours(kernel), -1, 0)
        minimum, maximum = float(colours.min()), float(colours.max())
        scaled = (colours - minimum) / max(maximum - minimum, 1e-12)
        canvas, positions = mosaic(scaled, columns)
        show_matrix(canvas, ax)
        channels = f"its first {min(inputs, 3)} of {inputs} input channels as red, green, blue"
        how = (
            f"{'in the colours they look for' if inputs == 3 else channels}; "
            f"each from {minimum:.2f} (dark) to {maximum:.2f} (bright)"
        )
    _bare(ax)
    for index, (x, y) in enumerate(positions):
        if size := number_size(ax, 1, 9):
            ax.text(x, y - 0.05, f"{index}", ha="center", va="bottom", fontsize=size)
    set_title(ax, f"{name}: {counted(outputs, 'kernel')} of {height}×{width} ({how})", pad=16)
    return ax


def unit_images(weights: np.ndarray, name: str = "fc", ax: Axes | None = None) -> Axes:
    """The weights of every unit of a fully connected layer, as images of the pixels that they read.

    For gray images, red raises and blue lowers the unit's output; for colour images, the weights
    of the three channels are red, green and blue. If there are too many units for one figure, only
    the first are shown.

    Args:
        weights: float [height, width, 1 or 3, units].
        name: the layer's name, for the title.
    """
    height, width, channels, units = weights.shape
    columns = min(units, max(FEWEST_UNIT_COLUMNS, UNIT_PIXELS // (width + UNIT_GAP)), UNIT_COLUMNS)
    shown = min(units, columns * max(1, UNIT_PIXELS // (height + UNIT_GAP)), columns * UNIT_COLUMNS)
    rows = -(-shown // columns)
    ax = new_axes(ax, height=1.1 + 10.5 * rows / columns * height / width)
    reach = _reach(weights)
    if channels == 1:
        canvas, positions = mosaic(np.moveaxis(weights[:, :, 0, :shown], -1, 0), columns, UNIT_GAP)
        show_matrix(canvas, ax, colormap=DIVERGING, limits=(-reach, reach), bar="weight")
        how = "red raises, blue lowers the output"
    else:
        scaled = np.clip(0.5 + np.moveaxis(weights[..., :shown], -1, 0) / (2 * reach), 0, 1)
        canvas, positions = mosaic(scaled, columns, UNIT_GAP)
        show_matrix(canvas, ax)
        how = "red, green and blue weights; gray is a weight of zero"
    _bare(ax)
    for index, (x, y) in enumerate(positions):
        if index % columns == 0:  # Only the first of each row has room for its number.
            position = (x - width / 2 - UNIT_GAP, y + height / 2)
            ax.text(*position, f"{index}", ha="right", va="center", fontsize=8)
    which = counted(units, "unit") if shown == units else f"the first {shown} of {units} units"
    set_title(ax, f"{name}: {which}, {height}×{width} weights each ({how})", pad=12)
    return ax


def kernels_by_channel(kernel: np.ndarray, name: str = "conv", ax: Axes | None = None) -> Axes:
    """Every input channel of every kernel, one column per kernel and one row per channel.

    Args:
        kernel: float [height, width, inputs, outputs].
    """
    height, width, inputs, outputs = kernel.shape
    ax = new_axes(ax, height=min(12.0, 1.4 + 10.5 * inputs / outputs))
    images = kernel.transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width)
    canvas, _ = mosaic(images, columns=outputs)
    reach = float(np.abs(kernel).max()) or 1.0
    show_matrix(canvas, ax, colormap=DIVERGING, limits=(-reach, reach), bar="weight")
    ax.set_aspect("equal")
    every = max(1, outputs // 32)
    ax.set_xticks(
        (np.arange(0, outputs, every) + 0.5) * (width + 1) - 1,
        [f"{k}" for k in range(0, outputs, every)],
    )
    every = max(1, inputs // 32)
    ax.set_yticks(
        (np.arange(0, inputs, every) + 0.5) * (height + 1) - 1,
        [f"{k}" for k in range(0, inputs, every)],
    )
    ax.tick_params(length=0)
    ax.set_frame_on(False)
    ax.set_xlabel("kernel (output channel)")
    ax.set_ylabel("input channel")
    set_title(ax, f"{name}: every channel of every kernel (red raises, blue lowers the output)")
    return ax


def matrix(kernel: np.ndarray, name: str = "fc", ax: Axes | None = None) -> Axes:
    """The complete kernel of a fully connected layer.

    Args:
        kernel: float [inputs, outputs].
    """
    inputs, outputs = kernel.shape
    ax = new_axes(ax, height=4.0)
    reach = _reach(kernel)
    show_matrix(kernel.T, ax, colormap=DIVERGING, limits=(-reach, reach), bar="weight")
    ax.set_xlabel("input")
    ax.set_ylabel("output")
    set_title(ax, f"{name}: {inputs}×{outputs} weights (red raises, blue lowers an output)")
    return ax


def _reach(kernel: np.ndarray) -> float:
    """The weight at the end of the colours. A few large weights would make all others pale."""
    return float(np.quantile(np.abs(kernel), 0.998)) or 1.0


def _bare(ax: Axes) -> None:
    ax.set_aspect("equal")
    without_ticks(ax)
    ax.set_frame_on(False)
