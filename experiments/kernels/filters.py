"""Computes convolution with four fixed kernels, and max pooling, as the layers of a network do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import correlate

from lenet.data.preparation import read_picture

SIDE = 7
MINIMUM_PIXELS = 16
LUMA = (0.299, 0.587, 0.114)  # How bright red, green and blue look (ITU-R BT.601).
Padding = Literal["valid", "same"]


@dataclass(frozen=True)
class Kernel:
    """A kernel of whole numbers and their common divisor.

    Attributes:
        name: what the kernel does.
        numbers: int [7, 7].
        divisor: scales the result to the range of an image.
        note: how to read the result.
        signed: whether results can be negative as well as positive.
    """

    name: str
    numbers: np.ndarray
    divisor: int
    note: str
    signed: bool = False

    @property
    def weights(self) -> np.ndarray:
        """The weights by which the pixels are multiplied, float [7, 7]."""
        return self.numbers / self.divisor


def fixed_kernels() -> tuple[Kernel, ...]:
    """The four kernels.

    An edge kernel computes the mean of three lines minus the mean of the three opposite lines (the
    operator of J. Prewitt, 1970, extended to 7×7). Blur computes the mean of all 49 pixels. Sharpen
    computes image + 2 × (image − blur).
    """
    edge = np.repeat([-1, -1, -1, 0, 1, 1, 1], SIDE).reshape(SIDE, SIDE)
    blur = np.ones((SIDE, SIDE), int)
    center = np.zeros((SIDE, SIDE), int)
    center[SIDE // 2, SIDE // 2] = SIDE * SIDE
    pixels, lines = SIDE * SIDE, 3 * SIDE
    return (
        Kernel("Horizontal edge", edge, lines, "red: brighter below; blue: darker", signed=True),
        Kernel(
            "Vertical edge", edge.T, lines, "red: brighter on the right; blue: darker", signed=True
        ),
        Kernel("Blur", blur, pixels, f"each pixel is the mean of {pixels} pixels"),
        Kernel("Sharpen", 3 * center - 2 * blur, pixels, "image + 2 × (image − blur)"),
    )


def convolve(gray: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slides a kernel over an image as a convolutional layer does, without flipping the kernel.

    Args:
        gray: float [height, width]; outside the image, the pixels at the border are repeated.
        weights: float [7, 7].

    Returns:
        float [height, width].
    """
    return correlate(gray, weights, mode="nearest")


def max_pool(values: np.ndarray, size: int, padding: Padding) -> np.ndarray:
    """The maximum of each window, with adjacent windows and padding as in TensorFlow.

    Args:
        values: float [height, width].
        size: the side of a window, which is also the stride.
        padding: "valid" ignores rows and columns that do not fill a window. "same" adds rows and
            columns that are never the maximum to both sides. If their number is odd, one more is
            added at the bottom and on the right.

    Returns:
        float [height / size, width / size], rounded down for "valid" and up for "same".
    """
    height, width = values.shape
    if padding == "valid":
        values = values[: height // size * size, : width // size * size]
    else:
        added = [(-length % size // 2, (-length % size + 1) // 2) for length in values.shape]
        values = np.pad(values, added, constant_values=-np.inf)
    rows, columns = values.shape[0] // size, values.shape[1] // size
    return values.reshape(rows, size, columns, size).max(axis=(1, 3))


def read_gray(path: Path) -> np.ndarray:
    """The brightness of an image file, float [height, width] from 0 to 1.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: the file is not an image, is damaged, too large, or smaller than 16x16 pixels.
    """
    gray = read_picture(path) @ np.array(LUMA) / 255
    if min(gray.shape) < MINIMUM_PIXELS:
        raise ValueError(
            f"Expected {path} to have at least {MINIMUM_PIXELS}x{MINIMUM_PIXELS} pixels. "
            f"Received: {gray.shape[1]}x{gray.shape[0]}"
        )
    return gray
