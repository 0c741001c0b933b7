"""Turns arrays and drawings into the images of a report's page."""

from __future__ import annotations

import io
import re
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

# In CSS pixels. Images are enlarged by the largest integer factor that fits.
FILM_WIDTH, PHOTO = 340, 64
LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
METADATA = ("Creator", "Date", "Format", "Type")  # Left out of drawings.
FONTS = "'DejaVu Sans', Verdana, sans-serif"  # The letters of both have the same widths.
MOST_KERNELS, COLUMNS, GAP = 64, 8, 4


@dataclass(frozen=True)
class Image:
    """An image in the page.

    Attributes:
        source: the image as a data address.
        alt: a description for readers who cannot see the image.
        caption: a line above the image, or "".
        width, height: the size of one frame in CSS pixels, shown without smoothing; None for a
            drawing, which is as wide as its panel.
        frames: the number of frames in the image, one below the other.
    """

    source: str
    alt: str
    caption: str = ""
    width: int | None = None
    height: int | None = None
    frames: int = 1


def variant_look(comparison: Comparison, combination: Combination) -> tuple[str, str]:
    """The colour and dash of a combination in all figures. They depend only on its variant."""
    return figures.look(comparison.variants.index(combination.variant))


def drawing(figure: Figure, alt: str) -> Image:
    """A drawing as SVG. The same runs always result in the same characters."""
    buffer = io.BytesIO()
    # So the file has no date, and its ids depend only on the drawing. Text is written as text,
    # because the outlines of the letters would be a third of the page.
    with matplotlib.rc_context({"svg.hashsalt": runs.FIGURES, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(METADATA), transparent=True)
    return Image(
        data_address(_shortened(buffer.getvalue().decode()).encode(), "image/svg+xml"), alt
    )


def _shortened(svg: str) -> str:
    """The same drawing in fewer characters: hundredths of a point are smaller than any pixel."""
    svg = re.sub(r"<!--.*?-->\n?", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"(font: [\d.]+px) [^;\"]*", rf"\1 {FONTS}", svg)
    return re.sub(r"<[^>]*>", lambda tag: LONG_NUMBER.sub(_rounded, tag[0]), svg)


def _rounded(digits: re.Match[str]) -> str:
    return f"{float(digits[0]):.2f}".rstrip("0").rstrip(".")


def kernels_by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The kernels among the arrays of an inspection, by layer."""
    suffix = "/kernel"
    return {name.removesuffix(suffix): a for name, a in arrays.items() if name.endswith(suffix)}


def convolutions(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The kernels of convolutions among the arrays of an inspection, by layer."""
    return {layer: a for layer, a in kernels_by_layer(arrays).items() if a.ndim == 4}


def kernel_image(kernels: Sequence[np.ndarray], reach: float, *, alt: str, caption: str) -> Image:
    """All kernels of one convolution next to each other.

    Args:
        kernels: the kernels of each frame; float [h, w, in, out], all of the same shape.
        reach: the weight shown as white; 0 is mid-gray and -reach is black.
    """
    frames = [_mosaic(kernel, reach) for kernel in kernels]
    height, width = frames[0].shape[:2]
    return Image(_png(np.concatenate(frames)), alt, caption, width, height, len(frames))


def colored(values: np.ndarray, limits: tuple[float, float]) -> str:
    """Values as the data address of a picture with one coloured pixel per value.

    Args:
        values: float [rows, columns].
        limits: the values of the first and the last colour.
    """
    low, high = limits
    scaled = np.nan_to_num((values - low) / (high - low)).clip(0, 1)
    return _png((colormaps[PERCEPTUAL](scaled)[..., :3] * 255).round().astype(np.uint8))


def photo(pixels: np.ndarray, alt: str) -> Image:
    """A small picture of one image of the data set, uint8 [height, width, 1 or 3]."""
    from PIL import Image as PillowImage

    shown = PillowImage.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    shown.thumbnail((PHOTO, PHOTO))
    return Image(_png(np.asarray(shown)), alt)


def _mosaic(kernel: np.ndarray, reach: float) -> np.ndarray:
    """All kernels of a convolution next to each other on white, enlarged.

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
