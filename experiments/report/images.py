"""Turns arrays and drawings into images that the page of a report contains."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from experiments.report.data import Combination, Comparison
from lenet.figures import comparison as figures
from lenet.figures.style import PERCEPTUAL
from lenet.gallery.page import data_address
from lenet.recording import runs

FILM_WIDTH, MAP_WIDTH, MAP_HEIGHT = 340, 290, 300  # CSS pixels, filled by an integer factor.
MOST_KERNELS, COLUMNS, GAP = 64, 8, 4


@dataclass(frozen=True)
class Image:
    """An image as the page contains it.

    Attributes:
        source: a data address.
        alt: what it shows, for readers who cannot see it.
        caption: a line above it, or "".
        width, height: CSS pixels of one frame, shown without smoothing; None for a drawing, which
            takes the width of its panel.
        frames: how many frames are stacked in it, one below the other.
    """

    source: str
    alt: str
    caption: str = ""
    width: int | None = None
    height: int | None = None
    frames: int = 1


def variant_look(comparison: Comparison, combination: Combination) -> tuple[str, str]:
    """Colour and dash of a combination everywhere: those of its variant, with any activation."""
    return figures.look(comparison.variants.index(combination.variant))


def drawing(figure: Figure, alt: str) -> Image:
    """A drawing as SVG; the same runs give the same characters."""
    buffer = io.BytesIO()
    # Without a date and with ids that follow from the drawing.
    with matplotlib.rc_context({"svg.hashsalt": runs.FIGURES}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return Image(data_address(buffer.getvalue(), "image/svg+xml"), alt)


def kernels_by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The kernels among the arrays of an inspection, by layer."""
    suffix = "/kernel"
    return {name.removesuffix(suffix): a for name, a in arrays.items() if name.endswith(suffix)}


def convolutions(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The kernels of convolutions among the arrays of an inspection, by layer."""
    return {layer: a for layer, a in kernels_by_layer(arrays).items() if a.ndim == 4}


def kernel_image(kernels: Sequence[np.ndarray], reach: float, *, alt: str, caption: str) -> Image:
    """All kernels of one convolution side by side.

    Args:
        kernels: one frame each; float [h, w, in, out], all of one shape.
        reach: the weight shown as white; 0 is mid-gray and -reach is black.
    """
    frames = [_mosaic(kernel, reach) for kernel in kernels]
    height, width = frames[0].shape[:2]
    return Image(_png(np.concatenate(frames)), alt, caption, width, height, len(frames))


def map_image(values: np.ndarray, limits: tuple[float, float], alt: str) -> Image:
    """Values in colour, one block of pixels each.

    Args:
        values: float [rows, columns].
        limits: the values of the first and the last colour.
    """
    low, high = limits
    scaled = np.nan_to_num((values - low) / (high - low)).clip(0, 1)
    colors = (colormaps[PERCEPTUAL](scaled)[..., :3] * 255).round().astype(np.uint8)
    rows, columns = values.shape
    width, height = columns * max(1, MAP_WIDTH // columns), rows * max(1, MAP_HEIGHT // rows)
    return Image(_png(colors), alt, width=width, height=height)


def _mosaic(kernel: np.ndarray, reach: float) -> np.ndarray:
    """All kernels of a convolution side by side on white, enlarged.

    The first three input channels are red, green and blue; a single channel is gray.

    Returns:
        uint8 [h, w, 3].
    """
    shown = np.nan_to_num(np.moveaxis(kernel[:, :, :3, :MOST_KERNELS], -1, 0))
    scaled = ((shown / reach).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    count, height, width, channels = scaled.shape
    if channels < 3:
        gray = np.full((count, height, width, 1), 128, np.uint8)
        scaled = np.concatenate([scaled, gray], -1) if channels == 2 else scaled.repeat(3, -1)
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    factor = max(1, (FILM_WIDTH - GAP * (columns - 1)) // (columns * width))
    height, width = height * factor, width * factor
    size = rows * (height + GAP), columns * (width + GAP) - GAP, 3
    canvas = np.full(size, 255, np.uint8)
    for index, tile in enumerate(scaled.repeat(factor, 1).repeat(factor, 2)):
        row, column = divmod(index, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _png(pixels: np.ndarray) -> str:
    from PIL import Image as PillowImage

    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "png", optimize=True)
    return data_address(buffer.getvalue(), "image/png")
