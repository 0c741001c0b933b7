"""Weights as small pictures: scaled to gray or colour, enlarged without smoothing, tiled.

NumPy only: it runs inside the training loop, where a matplotlib figure would cost too much.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

# Wide enough to still part the pictures when a page shows them at a third of their size.
BORDER, BORDER_VALUE, MID_GRAY = 8, 255, 128
TILE_PIXELS = 60
COLUMNS = 8
MATRIX_PIXELS = 300
PNG_COMPRESSION = 1  # Of 9: these pictures are made while training waits.
TITLED_PIXELS, TITLE_HEIGHT, TITLE_GAP, TITLE_SIZE = 84, 22, 6, 13


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Scales values linearly so that the least becomes 0 and the greatest 255.

    Where all are equal, or some are not finite, everything is mid-gray.

    Args:
        values: float, any shape.

    Returns:
        uint8 of the same shape.
    """
    least, greatest = np.min(values), np.max(values)
    with np.errstate(invalid="ignore", over="ignore"):  # Weights that ran away are no surprise.
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
        uint8 [rows * (height * f + 8) + 8, columns * (width * f + 8) + 8, channels], where
        f is such that a picture is at most 60 pixels high. Places left over are white.
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


def enlargement(height: int, pixels: int = TILE_PIXELS) -> int:
    """How many screen pixels stand for one of a picture, so that it is at most `pixels` high."""
    return max(1, pixels // height)


def png(picture: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file.

    Args:
        picture: uint8 [height, width, 1 or 3].
    """
    from PIL import Image

    buffer = io.BytesIO()
    flat = picture[..., 0] if picture.shape[-1] == 1 else picture
    Image.fromarray(flat).save(buffer, "png", compress_level=PNG_COMPRESSION)
    return buffer.getvalue()


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


def maps(feature_maps: np.ndarray) -> np.ndarray:
    """The feature maps of one image in gray, each over its own range.

    Args:
        feature_maps: float [height, width, channels].

    Returns:
        uint8 [h, w, 1]: channel 0 at the top left, then row by row.
    """
    return tile(np.stack([to_uint8(m) for m in np.moveaxis(feature_maps, -1, 0)])[..., None])


def matrix(values: np.ndarray, pixels: int = MATRIX_PIXELS) -> np.ndarray:
    """A whole matrix in gray, over its own range, enlarged by a whole factor.

    Args:
        values: float [rows, columns].
        pixels: how high it may become by enlarging.

    Returns:
        uint8 [rows * f, columns * f, 1].
    """
    factor = enlargement(values.shape[0], pixels)
    return to_uint8(values).repeat(factor, axis=0).repeat(factor, axis=1)[..., None]


def titled_grid(pictures: np.ndarray, titles: Sequence[str], columns: int = 5) -> np.ndarray:
    """Pictures in rows, each enlarged by a whole factor, with its title above it.

    Args:
        pictures: uint8 [n, height, width, 1 or 3].
        titles: one for each.

    Returns:
        uint8 [h, w, 3], on white.
    """
    from PIL import Image, ImageDraw, ImageFont

    count, height, width, channels = pictures.shape
    factor = enlargement(height, TITLED_PIXELS)
    tile_height, tile_width = height * factor + TITLE_HEIGHT, width * factor + 2 * TITLE_GAP
    rows = -(-count // columns)
    canvas = Image.new("RGB", (columns * tile_width, rows * tile_height + TITLE_GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(TITLE_SIZE)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(place, columns)
        left, top = column * tile_width + TITLE_GAP, row * tile_height
        fitting = title
        while draw.textlength(fitting, font) > width * factor and len(fitting) > 2:
            fitting = fitting.rstrip("…")[:-1] + "…"
        middle = left + width * factor // 2
        draw.text((middle, top + TITLE_HEIGHT // 2), fitting, "black", font, anchor="mm")
        enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        if channels == 1:
            enlarged = enlarged.repeat(3, axis=2)
        canvas.paste(Image.fromarray(enlarged), (left, top + TITLE_HEIGHT))
    return np.asarray(canvas)


def sprite(pictures: np.ndarray) -> np.ndarray:
    """Thumbnails side by side in a square, row by row, as TensorBoard's projector reads them.

    Args:
        pictures: uint8 [n, height, width, channels].

    Returns:
        uint8 [s * height, s * width, channels] for the least s with s * s >= n.
    """
    count, height, width, channels = pictures.shape
    side = int(np.ceil(np.sqrt(count)))
    padded = np.full((side * side, height, width, channels), BORDER_VALUE, np.uint8)
    padded[:count] = pictures
    rows = padded.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
    return rows.reshape(side * height, side * width, channels)
