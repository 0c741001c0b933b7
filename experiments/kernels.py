"""`python -m experiments.kernels PICTURE`: what convolution and pooling do, before any learning.

Four kernels of 7×7 weights, fixed by hand, go over a picture in gray: two find edges, one blurs,
one sharpens. What a trained network's first layer does is the same with weights it has found
itself. Below them, max pooling with both ways of padding. No TensorFlow needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from lenet import cli

if TYPE_CHECKING:  # Imported where they are first needed, so that `--help` answers in a blink.
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

DESCRIPTION = (
    "Applies four fixed 7x7 kernels (horizontal edge, vertical edge, blur, sharpen) and max "
    "pooling with both paddings to a picture, and draws them side by side."
)
FORMATS = ("png", "svg", "pdf")
SIDE = 7
POOL = 2  # Windows of the numbers' example,
PICTURE_POOL = 8  # and of the whole picture, where 2 would hardly be seen.
LEAST_PIXELS = 16
Padding = Literal["valid", "same"]


@dataclass(frozen=True)
class Kernel:
    """A kernel of whole numbers and what they are divided by.

    Attributes:
        name: what it is for.
        numbers: int [7, 7].
        divisor: makes the result's range that of a picture.
        note: how to read the result.
        signed: whether the result is above and below 0.
    """

    name: str
    numbers: np.ndarray
    divisor: int
    note: str
    signed: bool = False

    @property
    def weights(self) -> np.ndarray:
        """What is multiplied with the pixels, float [7, 7]."""
        return self.numbers / self.divisor


def fixed_kernels() -> tuple[Kernel, ...]:
    """The four kernels.

    An edge is the mean of three lines less the mean of the three opposite ones (the operator of
    J. Prewitt, 1970, on 7×7); a blur is the mean of all; sharper is the picture and twice what
    the blur took away from it.
    """
    edge = np.repeat([-1, -1, -1, 0, 1, 1, 1], SIDE).reshape(SIDE, SIDE)
    blur = np.ones((SIDE, SIDE), int)
    middle = np.zeros((SIDE, SIDE), int)
    middle[SIDE // 2, SIDE // 2] = SIDE * SIDE
    lines = 3 * SIDE
    return (
        Kernel("Horizontal edge", edge, lines, "red: brighter below, blue: darker", True),
        Kernel("Vertical edge", edge.T, lines, "red: brighter on the right, blue: darker", True),
        Kernel("Blur", blur, SIDE * SIDE, "every pixel is the mean of 49"),
        Kernel("Sharpen", 3 * middle - 2 * blur, SIDE * SIDE, "differences to the blur, tripled"),
    )


def convolve(gray: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Slides a kernel over a picture as a convolutional layer does, without turning it round.

    Args:
        gray: float [height, width]; pixels past the border are taken to be as those on it.
        weights: float [7, 7].

    Returns:
        float [height, width].
    """
    from scipy.ndimage import correlate

    return correlate(gray, weights, mode="nearest")


def max_pool(values: np.ndarray, size: int, padding: Padding) -> np.ndarray:
    """The greatest value of each window, window beside window, as TensorFlow pads them.

    Args:
        values: float [height, width].
        size: the side of a window, which is also the step to the next one.
        padding: "valid" leaves out what fills no window; "same" adds to both sides, more to the
            bottom and the right, what is never the greatest.

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
    """A picture's brightness, float [height, width] from 0 to 1.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it is not a picture, is damaged, too large, or smaller than 16x16.
    """
    from lenet.data.preparation import read_picture

    gray = read_picture(path) @ np.array([0.299, 0.587, 0.114]) / 255
    if min(gray.shape) < LEAST_PIXELS:
        raise ValueError(
            f"Expected {path} to have at least {LEAST_PIXELS}x{LEAST_PIXELS} pixels. "
            f"Received: {gray.shape[1]}x{gray.shape[0]}"
        )
    return gray


def draw(gray: np.ndarray) -> Figure:
    """The kernels, what they make of a picture, and pooling.

    Args:
        gray: float [height, width] from 0 to 1.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

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
    from lenet.figures.style import DIVERGING, GRAY, without_ticks

    kernels = fixed_kernels()
    axes = figure.subplots(2, 1 + len(kernels), height_ratios=[1, aspect])
    figure.suptitle(
        "Convolution: a kernel slides over the picture; each result is a sum of 49 pixels, weighted",
        fontsize=14,
    )
    axes[0, 0].axis("off")
    axes[0, 0].text(
        0.5,
        0.5,
        "A kernel is 7×7 weights:\nthese numbers, divided\nby the one above them.\n\n"
        "Red adds,\nblue takes away.",
        ha="center",
        va="center",
        fontsize=12,
        linespacing=1.5,
        transform=axes[0, 0].transAxes,
    )
    axes[1, 0].imshow(gray, cmap=GRAY, vmin=0, vmax=1)
    axes[1, 0].set_title("The picture, in gray")
    axes[1, 0].set_xlabel(f"{gray.shape[1]} × {gray.shape[0]} pixels")
    for kernel, above, below in zip(kernels, axes[0, 1:], axes[1, 1:], strict=True):
        _draw_numbers(above, kernel)
        result = convolve(gray, kernel.weights)
        if kernel.signed:
            # A few very sharp edges must not leave all the others pale.
            reach = max(float(np.quantile(np.abs(result), 0.995)), 1e-3)
            below.imshow(result, cmap=DIVERGING, vmin=-reach, vmax=reach)
        else:
            below.imshow(result.clip(0, 1), cmap=GRAY, vmin=0, vmax=1)
        below.set_xlabel(kernel.note)
    for ax in axes.flat:
        without_ticks(ax)


def _draw_numbers(ax: Axes, kernel: Kernel) -> None:
    """A kernel's weights as colours and numbers."""
    from lenet.figures.style import DIVERGING

    # Each by its own greatest but the middle's, which in one dwarfs all others.
    reach = np.sort(np.abs(kernel.numbers), axis=None)[-2] * 1.6
    ax.imshow(kernel.numbers, cmap=DIVERGING, vmin=-reach, vmax=reach)
    for (row, column), number in np.ndenumerate(kernel.numbers):
        ink = "white" if abs(number) > reach else "black"
        shown = f"{number}".replace("-", "−")
        ax.text(column, row, shown, ha="center", va="center", fontsize=8, color=ink)
    ax.set_title(f"{kernel.name}: ÷ {kernel.divisor}")


def _draw_pooling(figure: SubFigure, gray: np.ndarray) -> None:
    from lenet.figures.style import GRAY, without_ticks

    figure.suptitle(
        "Max pooling: of each window only the greatest value stays; where windows do not fit, "
        "padding decides",
        fontsize=14,
    )
    axes = figure.subplots(1, 6, width_ratios=[8, 4.2, 8, 4.2, 7, 7])
    numbers = _thumbnail(gray)
    explained: dict[Padding, str] = {
        "valid": "the last row and column fill\nno window: left out",
        "same": "a row and a column are added\nthat are never the greatest",
    }
    for place, (padding, explanation) in enumerate(explained.items()):
        before, after, whole = axes[2 * place], axes[2 * place + 1], axes[4 + place]
        _draw_windows(before, numbers, padding)
        before.set_title(f"“{padding}”: windows of {POOL}×{POOL}")
        before.set_xlabel(explanation)
        pooled = max_pool(numbers, POOL, padding)
        _draw_cells(after, pooled)
        for row, column in np.ndindex(pooled.shape):
            _frame(after, row, column, 1, _color(row, column))
        after.set_xlim(-0.6, 3.6)
        after.set_ylim(3.6, -0.6)
        after.set_title(f"{SIDE}×{SIDE} → {pooled.shape[0]}×{pooled.shape[1]}")
        coarse = max_pool(gray, PICTURE_POOL, padding)
        whole.imshow(coarse, cmap=GRAY, vmin=0, vmax=1)
        whole.set_title(f"“{padding}”, {PICTURE_POOL}×{PICTURE_POOL}")
        whole.set_xlabel(
            f"{gray.shape[1]} × {gray.shape[0]} → {coarse.shape[1]} × {coarse.shape[0]} pixels"
        )
    for ax in axes:
        without_ticks(ax)
    for ax in axes[:4]:
        ax.set_frame_on(False)


def _thumbnail(gray: np.ndarray) -> np.ndarray:
    """The picture's middle as 7×7 whole numbers from 0 to 255."""
    from PIL import Image, ImageOps

    image = Image.fromarray(np.round(gray * 255).astype(np.uint8))
    return np.asarray(ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BOX)).astype(float)


def _draw_windows(ax: Axes, numbers: np.ndarray, padding: Padding) -> None:
    """Numbers under the windows that pooling lays over them, the greatest of each marked."""
    from matplotlib.patches import Rectangle

    side = len(numbers)
    covered = side // POOL * POOL if padding == "valid" else -(-side // POOL) * POOL
    _draw_cells(ax, numbers)
    extent = max(side, covered)
    for row in range(extent):
        for column in range(extent):
            outside = row >= side or column >= side
            if outside or row >= covered or column >= covered:
                ground = "white" if outside else "none"
                place = (column - 0.5, row - 0.5)
                ax.add_patch(
                    Rectangle(place, 1, 1, fc=ground, ec="#BBBBBB", linewidth=0, hatch="////")
                )
    windows = covered // POOL
    for row in range(windows):
        for column in range(windows):
            color = _color(row, column)
            top, left = row * POOL, column * POOL
            _frame(ax, top, left, POOL, color)
            window = numbers[top : top + POOL, left : left + POOL]
            down, right = np.unravel_index(window.argmax(), window.shape)
            ax.plot(left + right, top + down, "o", ms=19, mfc="none", mec=color, mew=1.4)
    ax.set_xlim(-0.6, SIDE + 0.6)
    ax.set_ylim(SIDE + 0.6, -0.6)


def _color(row: int, column: int) -> str:
    """A window's colour, the same in picture and result, and another than its neighbours'."""
    from lenet.figures.style import CLASS_COLORS

    return CLASS_COLORS[(row + 2 * column) % 5]


def _frame(ax: Axes, top: int, left: int, side: int, color: str) -> None:
    from matplotlib.patches import Rectangle

    place, length = (left - 0.42, top - 0.42), side - 0.16
    ax.add_patch(Rectangle(place, length, length, fill=False, edgecolor=color, linewidth=2))


def _draw_cells(ax: Axes, numbers: np.ndarray) -> None:
    """Numbers from 0 to 255, on the grays they stand for."""
    from lenet.figures.style import GRAY

    ax.imshow(numbers, cmap=GRAY, vmin=0, vmax=255)
    for (row, column), number in np.ndenumerate(numbers):
        ink = "white" if number < 128 else "black"
        ax.text(column, row, f"{number:.0f}", ha="center", va="center", fontsize=8, color=ink)


@dataclass(frozen=True)
class Options:
    """What `experiments.kernels` can be told.

    Attributes:
        picture: A photograph or drawing: PNG, JPEG, WebP, BMP, GIF or TIFF.
        output: The figure's file, ending in .png, .svg or .pdf. Default: kernels-<picture>.png here.
        dpi: Dots per inch; the figure is 14 inches wide.
    """

    picture: Path
    output: Path | None = None
    dpi: int = 100

    def target(self) -> Path:
        """The file to write.

        Raises:
            ValueError: its name tells none of the formats or is the picture's own, or `dpi` is
                out of its range.
        """
        target = self.output or Path(f"kernels-{self.picture.stem}.png")
        if not 10 <= self.dpi <= 1000:
            raise ValueError(f"Expected dpi to be from 10 to 1,000. Received: dpi={self.dpi}")
        if target.suffix.lower().removeprefix(".") not in FORMATS:
            raise ValueError(
                f"Expected output to be a file ending in .{', .'.join(FORMATS)}. "
                f"Received: output={str(self.output)!r}"
            )
        if target.resolve() == self.picture.resolve():
            raise ValueError(f"{target} is the picture itself: give --output another name.")
        return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; a user's mistake ends it with exit code 2."""
    import tyro

    try:
        options = tyro.cli(
            Options,
            prog="python -m experiments.kernels",
            description=DESCRIPTION,
            args=arguments,
            config=(tyro.conf.PositionalRequiredArgs,),
        )
        target = options.target()
        figure = draw(read_gray(options.picture))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".writing-{target.name}")
        try:
            figure.savefig(temporary, dpi=options.dpi, format=target.suffix[1:].lower())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        cli.fail(error)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
