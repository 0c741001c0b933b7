"""Scales a drawing into a box and centres it by its mass, like the digits of MNIST.

Source: Y. LeCun, C. Cortes & C. Burges, The MNIST database of handwritten digits: each digit was
scaled into a box of 20x20 pixels without changing its aspect ratio, and placed in 28x28 pixels
with its centre of mass in the middle.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

OVERSAMPLING = 8  # Strokes are measured on an image this many times finer than the result.
THIN, USUAL = 1.3, 2.2  # Stroke widths in pixels: MNIST's thinnest 1 %, and just below its mean.


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the true pixels; the last two are exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def scaled_to_box(cropped: np.ndarray, side: int) -> tuple[np.ndarray, bool]:
    """Scales a drawing until its longer side fills a box, by averaging, and keeps its aspect ratio.

    The line of a thin pen would almost vanish, so it is widened to the width of MNIST's strokes.

    Args:
        cropped: float [height, width], from 0 to 1, light on black.
        side: the side of the box, in pixels.

    Returns:
        float [h, w], where the larger of h and w is `side` and the brightest pixel is 1; and
        whether strokes were widened.
    """
    fine = _scaled(cropped, side * OVERSAMPLING)
    unit = OVERSAMPLING * side / 20
    width = stroke_width(fine > 0.5)
    thin = width < THIN * unit
    if thin:
        margin = int(USUAL * unit - width) // 2
        widened = Image.fromarray(to_uint8(np.pad(fine, margin)))
        fine = np.asarray(widened.filter(ImageFilter.MaxFilter(2 * margin + 1)), np.float32) / 255
        fine = _scaled(fine, side * OVERSAMPLING)
    scaled = _scaled(fine, side)
    return scaled / scaled.max(), thin


def stroke_width(mask: np.ndarray) -> float:
    """The mean width of strokes in pixels: twice their area divided by their outline's length."""
    padded = np.pad(mask, 1)
    steps = sum(np.count_nonzero(np.diff(padded, axis=axis)) for axis in (0, 1))
    # Counted in steps along rows and columns, outlines are 4 / π times too long on average.
    return 2 * np.count_nonzero(mask) / max(1.0, steps * np.pi / 4)


def centred_by_mass(scaled: np.ndarray, height: int, width: int) -> np.ndarray:
    """Places a drawing on black, with its centre of mass in the middle, to the nearest pixel.

    Args:
        scaled: float [h, w], not larger than `height` and `width`.

    Returns:
        float [height, width].
    """
    rows, columns = scaled.shape
    mass = scaled.sum()
    row = float((scaled.sum(1) @ np.arange(rows)) / mass)
    column = float((scaled.sum(0) @ np.arange(columns)) / mass)
    top = min(max(0, round(height / 2 - row)), height - rows)
    left = min(max(0, round(width / 2 - column)), width - columns)
    image = np.zeros((height, width), scaled.dtype)
    image[top : top + rows, left : left + columns] = scaled
    return image


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Brightness from 0 to 1 as whole numbers from 0 to 255."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _scaled(values: np.ndarray, longer: int) -> np.ndarray:
    """Scales by averaging so that the longer side has that many pixels."""
    height, width = (max(1, round(n * longer / max(values.shape))) for n in values.shape)
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))
