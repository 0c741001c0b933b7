"""Kernels and matrices as pictures."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from lenet.figures.style import DIVERGING, GRAY, mosaic, new_axes, show_matrix, without_ticks

COLUMNS = 8


def kernels(kernel: np.ndarray, name: str = "conv", ax: Axes | None = None) -> Axes:
    """All kernels of a convolution, numbered.

    In gray where they have one input channel, else the first three as red, green and blue.

    Args:
        kernel: float [height, width, inputs, outputs].
        name: the layer's name, for the title.
    """
    height, width, inputs, outputs = kernel.shape
    columns = min(COLUMNS, outputs)
    rows = -(-outputs // columns)
    ax = new_axes(ax, height=1.1 + 12.0 * rows / columns * 0.8)
    shown = np.moveaxis(kernel, -1, 0)
    if inputs == 1:
        canvas, places = mosaic(shown[..., 0], columns)
        show_matrix(canvas, ax, colormap=GRAY, bar="weight")
        how = "gray is the weight: see the bar"
    else:
        padded = np.zeros((outputs, height, width, 3))
        padded[..., : min(inputs, 3)] = shown[..., :3]
        least, greatest = padded.min(), padded.max()
        scaled = (padded - least) / max(greatest - least, 1e-12)
        canvas, places = mosaic(scaled, columns)
        show_matrix(canvas, ax)
        colours = f"its first {min(inputs, 3)} of {inputs} input channels as red, green, blue"
        how = (
            f"{'in the colours they look for' if inputs == 3 else colours}; "
            f"each from {least:.2f} (dark) to {greatest:.2f} (bright)"
        )
    ax.set_aspect("equal")
    without_ticks(ax)
    for number, (x, y) in enumerate(places):
        ax.text(x, y - 0.05, f"{number}", ha="center", va="bottom", fontsize=9)
    ax.set_frame_on(False)
    ax.set_title(f"{name}: {outputs} kernels of {height}×{width} ({how})", pad=16)
    return ax


def kernels_by_channel(kernel: np.ndarray, name: str = "conv", ax: Axes | None = None) -> Axes:
    """Every input channel of every kernel: a column for each kernel, a row for each channel.

    Args:
        kernel: float [height, width, inputs, outputs].
    """
    height, width, inputs, outputs = kernel.shape
    ax = new_axes(ax, height=min(12.0, 1.4 + 10.5 * inputs / outputs))
    pictures = kernel.transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width)
    canvas, _ = mosaic(pictures, columns=outputs)
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
    ax.set_title(f"{name}: every channel of every kernel (red raises, blue lowers the output)")
    return ax


def matrix(kernel: np.ndarray, name: str = "fc", ax: Axes | None = None) -> Axes:
    """The whole kernel of a fully connected layer.

    Args:
        kernel: float [inputs, outputs].
    """
    inputs, outputs = kernel.shape
    ax = new_axes(ax, height=4.0)
    # A few large weights would wash out the rest.
    reach = float(np.quantile(np.abs(kernel), 0.998)) or 1.0
    show_matrix(kernel.T, ax, colormap=DIVERGING, limits=(-reach, reach), bar="weight")
    ax.set_xlabel("input")
    ax.set_ylabel("output")
    ax.set_title(f"{name}: {inputs}×{outputs} weights (red raises, blue lowers an output)")
    return ax
