"""Arrays as small images: scaled to gray or colour, enlarged without smoothing, arranged in rows.

It does not use matplotlib, which is too slow for figures inside the training loop.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np

# The border is visible even if a page shows the images at a third of their size.
BORDER, BORDER_VALUE, MID_GRAY = 8, 255, 128
TILE_PIXELS = 60
COLUMNS = 8
MATRIX_PIXELS = 300
LARGEST = 2**21  # Pixels of a whole image: many small images, or a wide matrix, are enlarged less.
FASTEST, SMALLER = 1, 6  # PNG compression levels, from 1 to 9.
TITLED_PIXELS, TITLE_HEIGHT, TITLE_GAP, TITLE_SIZE = 84, 22, 6, 13


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Scales values linearly so that the minimum becomes 0 and the maximum 255.

    If all values are equal, or some are not finite, the result is mid-gray.

    Args:
        values: float, any shape.

    Returns:
        uint8 of the same shape.
    """
    minimum, maximum = np.min(values), np.max(values)
    with np.errstate(invalid="ignore", over="ignore"):  # The weights may have diverged.
        span = maximum - minimum
    if not np.isfinite(span) or span <= 0:
        return np.full(values.shape, MID_GRAY, np.uint8)
    return np.round((values - minimum) * (255.0 / span)).astype(np.uint8)


def lay_out(
    images: np.ndarray, columns: int, gap: int, background: float
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Arranges images of one size in rows, in one array.

    Args:
        images: [n, height, width, …], any type.
        columns: images per row.
        gap: pixels between two images.
        background: the value of the gaps and of positions without an image.

    Returns:
        The array, [h, w, …] of the same type, and the top left pixel of every image as row and
        column.
    """
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:])
    canvas = np.full(size, background, images.dtype)
    corners = []
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = image
        corners.append((top, left))
    return canvas, corners


def enlarge(images: np.ndarray, factor: int) -> np.ndarray:
    """Repeats every pixel of images [..., height, width, channels], `factor` times each way."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def enlargement(height: int, pixels: int = TILE_PIXELS) -> int:
    """The largest factor that keeps an image within a height of `pixels`; at least 1."""
    return max(1, pixels // height)


def tile(images: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Arranges small images in rows, enlarged by one integer factor, with a white border.

    Args:
        images: uint8 [n, height, width, channels].
        columns: the maximum number of images per row.

    Returns:
        uint8 [rows * (height * f + 8) + 8, columns * (width * f + 8) + 8, channels], where
        f is the largest factor that keeps an image within 60 pixels of height, and all of them
        within about two million pixels. Positions without an image are white.
    """
    height, width = images.shape[1:3]
    side = math.sqrt(LARGEST / len(images) * height / width) - BORDER
    enlarged = enlarge(images, enlargement(height, min(TILE_PIXELS, int(max(side, 1)))))
    canvas, _ = lay_out(enlarged, min(columns, len(images)), BORDER, BORDER_VALUE)
    border = ((BORDER, BORDER), (BORDER, BORDER), (0, 0))
    return np.pad(canvas, border, constant_values=BORDER_VALUE)


def png(image: np.ndarray, compression: int = FASTEST) -> bytes:
    """An image as the bytes of a PNG file.

    Args:
        image: uint8 [height, width, 1 or 3].
        compression: from 1 (fast) to 9 (small); default: fast, because training waits for it.
    """
    from PIL import Image

    buffer = io.BytesIO()
    flat = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(flat).save(buffer, "png", compress_level=compression)
    return buffer.getvalue()


def as_colours(kernel: np.ndarray) -> np.ndarray:
    """The first three input channels of kernels, to be shown as red, green and blue.

    A single channel is returned unchanged, for gray. Two channels get a blue one of zero weights.

    Args:
        kernel: float [..., inputs, outputs].

    Returns:
        float [..., 1 or 3, outputs].
    """
    shown = kernel[..., :3, :]
    if shown.shape[-2] == 2:
        shown = np.concatenate([shown, np.zeros_like(shown[..., :1, :])], axis=-2)
    return shown


def kernels_as_rgb(kernel: np.ndarray) -> np.ndarray:
    """All kernels of a convolution, the first three input channels as red, green and blue.

    There is one scale for the whole layer, so that kernels are comparable. With one input channel
    the result is gray. With two, blue has the value of a zero weight.

    Args:
        kernel: float [height, width, inputs, outputs].

    Returns:
        uint8 [h, w, 1 or 3]: kernel 0 at the top left, then row by row.
    """
    return tile(to_uint8(as_colours(kernel)).transpose(3, 0, 1, 2))


def kernels_by_channel(kernel: np.ndarray) -> np.ndarray:
    """Every input channel of every kernel in gray, one column per kernel and one row per channel.

    Args:
        kernel: float [height, width, inputs, outputs].

    Returns:
        uint8 [h, w, 1], with one scale for the whole layer.
    """
    height, width, inputs, outputs = kernel.shape
    images = to_uint8(kernel).transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width, 1)
    return tile(images, columns=outputs)


def maps(feature_maps: np.ndarray) -> np.ndarray:
    """The feature maps of one image in gray, each scaled to its own range.

    Args:
        feature_maps: float [height, width, channels].

    Returns:
        uint8 [h, w, 1]: channel 0 at the top left, then row by row.
    """
    return tile(np.stack([to_uint8(m) for m in np.moveaxis(feature_maps, -1, 0)])[..., None])


def matrix(values: np.ndarray, pixels: int = MATRIX_PIXELS) -> np.ndarray:
    """A matrix in gray, scaled to its own range, enlarged by an integer factor.

    Args:
        values: float [rows, columns].
        pixels: the maximum height of the result.

    Returns:
        uint8 [rows * f, columns * f, 1].
    """
    height = math.sqrt(LARGEST * values.shape[0] / values.shape[1])
    factor = enlargement(len(values), min(pixels, int(height)))
    return enlarge(to_uint8(values)[..., None], factor)


def titled_grid(images: np.ndarray, titles: Sequence[str], columns: int = 5) -> np.ndarray:
    """Images in rows, each enlarged by an integer factor, with its title above it.

    Args:
        images: uint8 [n, height, width, 1 or 3].
        titles: one for each image.

    Returns:
        uint8 [h, w, 3], on white.
    """
    from PIL import Image, ImageDraw, ImageFont

    enlarged = enlarge(images, enlargement(images.shape[1], TITLED_PIXELS))
    width = enlarged.shape[2]
    margins = ((0, 0), (TITLE_HEIGHT, 0), (TITLE_GAP, TITLE_GAP), (0, 0))
    cells = np.pad(enlarged, margins, constant_values=BORDER_VALUE)
    grid, corners = lay_out(cells, columns, 0, BORDER_VALUE)
    grid = np.pad(grid, ((0, TITLE_GAP), (0, 0), (0, 0)), constant_values=BORDER_VALUE)
    canvas = Image.fromarray(np.broadcast_to(grid, (*grid.shape[:2], 3)))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(TITLE_SIZE)
    for (top, left), title in zip(corners, titles, strict=True):
        fitting = title
        while draw.textlength(fitting, font) > width and len(fitting) > 2:
            fitting = fitting.rstrip("…")[:-1] + "…"
        middle = (left + TITLE_GAP + width // 2, top + TITLE_HEIGHT // 2)
        draw.text(middle, fitting, "black", font, anchor="mm")
    return np.asarray(canvas)


def sprite(images: np.ndarray) -> np.ndarray:
    """Thumbnails next to each other in a square, row by row, as TensorBoard's projector reads them.

    Args:
        images: uint8 [n, height, width, channels].

    Returns:
        uint8 [s * height, s * width, channels] for the smallest s with s * s >= n.
    """
    side = int(np.ceil(np.sqrt(len(images))))
    padded = np.full((side * side, *images.shape[1:]), BORDER_VALUE, np.uint8)
    padded[: len(images)] = images
    return lay_out(padded, side, 0, BORDER_VALUE)[0]
