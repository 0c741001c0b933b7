"""Weights as small pictures: scaled to gray or colour, enlarged without smoothing, tiled.

NumPy only: it runs inside the training loop, where a matplotlib figure would cost too much.
"""

from __future__ import annotations

import numpy as np

BORDER, BORDER_VALUE, MID_GRAY = 2, 255, 128
TILE_PIXELS = 40
COLUMNS = 8


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Scales values linearly so that the least becomes 0 and the greatest 255.

    Where all are equal, or some are not finite, everything is mid-gray.

    Args:
        values: float, any shape.

    Returns:
        uint8 of the same shape.
    """
    least, greatest = np.min(values), np.max(values)
    span = greatest - least
    if not np.isfinite(span) or span <= 0:
        return np.full(values.shape, MID_GRAY, np.uint8)
    return np.round((values - least) * (255.0 / span)).astype(np.uint8)


def tile(pictures: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Lays small pictures out in rows, each enlarged by one whole factor, with a white border.

    Args:
        pictures: uint8 [n, height, width, channels].
        columns: pictures per row, at most.

    Returns:
        uint8 [rows * (height * f + 2) + 2, columns * (width * f + 2) + 2, channels], where
        f is such that a picture is about 40 pixels high. Places left over are white.
    """
    count, height, width, channels = pictures.shape
    factor = enlargement(height)
    columns = min(columns, count)
    rows = -(-count // columns)
    row_step, column_step = height * factor + BORDER, width * factor + BORDER
    canvas = np.full(
        (rows * row_step + BORDER, columns * column_step + BORDER, channels), BORDER_VALUE, np.uint8
    )
    enlarged = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
    for place, picture in enumerate(enlarged):
        row, column = divmod(place, columns)
        top, left = row * row_step + BORDER, column * column_step + BORDER
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def enlargement(height: int) -> int:
    """How many screen pixels stand for one pixel of a picture `height` pixels high."""
    return max(1, TILE_PIXELS // height)


def kernels_as_rgb(kernel: np.ndarray) -> np.ndarray:
    """All kernels of a convolution, the first three input channels as red, green and blue.

    One range for the whole layer, so that kernels compare. With one input channel the picture
    is gray; with two, blue stays at the value of a zero weight.

    Args:
        kernel: float [height, width, inputs, outputs].

    Returns:
        uint8 [h, w, 1 or 3]: kernel 0 at the top left, then row by row.
    """
    shown = kernel[:, :, :3, :]
    if shown.shape[2] == 2:
        shown = np.concatenate([shown, np.zeros_like(shown[:, :, :1])], axis=2)
    return tile(to_uint8(shown).transpose(3, 0, 1, 2))


def kernels_by_channel(kernel: np.ndarray) -> np.ndarray:
    """Every input channel of every kernel in gray: a column per kernel, a row per channel.

    Args:
        kernel: float [height, width, inputs, outputs].

    Returns:
        uint8 [h, w, 1], one range for the whole layer.
    """
    height, width, inputs, outputs = kernel.shape
    pictures = to_uint8(kernel).transpose(2, 3, 0, 1).reshape(inputs * outputs, height, width, 1)
    return tile(pictures, columns=outputs)
