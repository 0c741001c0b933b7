"""The parts of an explanation of one image: stages, feature maps, outputs, heat maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from lenet.figures.style import (
    COLORS,
    GRAY,
    PERCEPTUAL,
    WIDTH,
    mosaic,
    new_axes,
    show_matrix,
    without_ticks,
)

FOR, AGAINST, NEUTRAL, MARK = COLORS[1], COLORS[0], "#8C8C8C", COLORS[4]
NOTE_COLOR = "#555555"
IMAGE_ALPHA = 0.65  # The opacity of heat over a colour image, which shows through.
MAXIMUM_COLUMNS, MAXIMUM_MAP_INCHES = 16, 1.75
GAP = 0.2  # The gap between two maps, with room for a number, as a share of their height.
MINIMUM_SPAN = 1e-3  # The minimum range of a colour bar.
MINIMUM_BARS = 6  # Fewer bars are drawn no wider than if there were this many.
LONGEST_LEVEL_NAME = 5  # Longer class names are written vertically.
LONGEST_TICK, LONGEST_NAME = 14, 20  # Names longer than this are shortened.


def stage(
    image: np.ndarray,
    title: str,
    note: str = "",
    ax: Axes | None = None,
    box: tuple[int, int, int, int] | None = None,
    middle: tuple[float, float] | None = None,
) -> Axes:
    """The user's image at one stage of its preparation.

    Args:
        image: uint8 [height, width] or [height, width, 3].
        note: a line below it.
        box: top, left, bottom and right, in pixels, of a part that gets a frame.
        middle: row and column to mark with a cross.
    """
    ax = new_axes(ax, 2.5, 2.8)
    ax.imshow(image, cmap=GRAY, vmin=0, vmax=255)
    without_ticks(ax)
    ax.set_title(title, fontsize=10)
    ax.set_xlabel(note, fontsize=8.5, color=NOTE_COLOR)
    if box is not None:
        top, left, bottom, right = box
        frame = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False)
        frame.set(edgecolor=MARK, linewidth=2)
        ax.add_patch(frame)
    if middle is not None:
        ax.axhline(middle[0], color=MARK, linewidth=0.8, linestyle=":")
        ax.axvline(middle[1], color=MARK, linewidth=0.8, linestyle=":")
    return ax


def layer_maps(
    maps: np.ndarray, ax: Axes | None = None, bar: str = "output", columns: int = MAXIMUM_COLUMNS
) -> Axes:
    """The feature maps of one layer next to each other, numbered, all on one scale.

    Args:
        maps: float [height, width, channels].
        bar: what the colour bar measures.
    """
    height, _, channels = maps.shape
    columns = min(columns, channels)
    ax = new_axes(ax, height=maps_inches(maps))
    canvas, positions = mosaic(np.moveaxis(maps, -1, 0), columns, gap=max(1, round(GAP * height)))
    shown = show_matrix(canvas, ax, colormap=PERCEPTUAL, limits=_limits(maps), bar=bar)
    shown.set_cmap(shown.get_cmap().with_extremes(bad="none"))
    ax.set_aspect("equal")
    ax.set_anchor("W")
    without_ticks(ax)
    ax.set_frame_on(False)
    for index, (x, y) in enumerate(positions):
        ax.text(x, y, f"{index}", ha="center", va="bottom", fontsize=7, color=NOTE_COLOR)
    return ax


def unit_bars(
    outputs: np.ndarray,
    ax: Axes | None = None,
    contributions: np.ndarray | None = None,
    answer: str = "",
) -> Axes:
    """The outputs of a fully connected layer, a bar for each unit.

    Args:
        outputs: float [units].
        contributions: what each unit adds to the logit of the answer, float [units]. The sign
            decides the colour of the bar.
        answer: the class that the network chose, for the legend.
    """
    ax = new_axes(ax, height=1.7)
    positions = np.arange(len(outputs))
    if contributions is None:
        ax.bar(positions, outputs, width=0.8, color=NEUTRAL)
    else:
        for chosen, color, label in (
            (contributions > 0, FOR, f"evidence for {answer}"),
            (contributions < 0, AGAINST, f"evidence against {answer}"),
        ):
            ax.bar(positions[chosen], outputs[chosen], width=0.8, color=color, label=label)
        ax.legend(fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98), frameon=False)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlim(-0.8, len(outputs) - 0.2)
    ax.margins(y=0.08)
    if not outputs.any():
        ax.set_ylim(0, 1)
    ax.set_xlabel("unit", fontsize=8.5, labelpad=1)
    ax.set_ylabel("output", fontsize=8.5)
    _tidy(ax)
    return ax


def class_bars(
    values: np.ndarray,
    class_names: Sequence[str],
    predicted: int,
    ax: Axes | None = None,
    percent: bool = False,
) -> Axes:
    """One number for each class, written on its bar; the predicted class is in colour.

    Args:
        values: float [classes].
        percent: the values are probabilities, from 0 to 1.
    """
    ax = new_axes(ax, WIDTH / 2, 2.2)
    positions = np.arange(len(values))
    colors = [FOR if index == predicted else NEUTRAL for index in positions]
    bars = ax.bar(positions, values, width=0.8, color=colors)
    if len(values) <= 12:
        labels = [percentage(v) if percent else f"{v:.1f}".replace("-", "−") for v in values]
        ax.bar_label(bars, labels, fontsize=8, padding=2)
    rotation = 90 if max(map(len, class_names)) > LONGEST_LEVEL_NAME else 0
    ax.set_xticks(positions, [plain(name, LONGEST_TICK) for name in class_names], rotation=rotation)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.margins(y=0.16)
    if not values.any():
        ax.set_ylim(-1, 1)
    margin = max(0.0, MINIMUM_BARS - len(values)) / 2
    ax.set_xlim(-0.6 - margin, len(values) - 0.4 + margin)
    if percent:
        ax.set_ylim(0, 1.16)
        ax.set_yticks([0, 0.5, 1])
        ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_ylabel("probability" if percent else "logit", fontsize=8.5)
    ax.set_xlabel("class", fontsize=8.5, labelpad=1)
    _tidy(ax)
    return ax


def heat_over(
    image: np.ndarray,
    heat: np.ndarray,
    ax: Axes | None = None,
    bar: str = "",
    colormap: str = PERCEPTUAL,
) -> Axes:
    """A number for each pixel as a colour, over the image, which remains recognizable.

    Args:
        image: uint8 [height, width], drawn as an outline; or [height, width, 3], which shows
            through in gray.
        heat: float [height, width].
        bar: what the colours measure.
    """
    ax = new_axes(ax, 4.2, 3.6)
    shown = show_matrix(heat, ax, colormap=colormap, limits=_limits(heat), bar=bar)
    if image.ndim == 3:
        ax.imshow(image.mean(-1), cmap=GRAY, zorder=shown.get_zorder() - 1)
        shown.set_alpha(IMAGE_ALPHA)
    elif np.ptp(image) > 0:
        lines = ax.contour(image, [(image.max() + image.min()) / 2], colors="white", linewidths=1.4)
        lines.set_path_effects([withStroke(linewidth=3.2, foreground="black")])
    ax.set_aspect("equal")
    without_ticks(ax)
    return ax


def percentage(probability: float) -> str:
    """A probability as text: 100 % and 0 % only if that is correct to four digits."""
    percent = 100 * probability
    if 99.95 <= percent < 99.995 or 0.005 <= percent < 0.05:
        return f"{percent:.2f} %"
    return f"{percent:.1f} %" if 0.05 <= percent < 99.95 else f"{percent:.0f} %"


def maps_inches(maps: np.ndarray) -> float:
    """The height of a layer's maps in inches, limited by the figure's width and by a maximum."""
    height, width, channels = maps.shape
    columns = min(MAXIMUM_COLUMNS, channels)
    each = min(MAXIMUM_MAP_INCHES, (WIDTH - 1.5) / columns)
    return 0.6 + -(-channels // columns) * each * height / width


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The minimum and the maximum, far enough apart for the numbers of a colour bar."""
    minimum, maximum = float(values.min()), float(values.max())
    return min(minimum, maximum - MINIMUM_SPAN), maximum


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """A text from the user, shortened if it is long, with dollar signs escaped."""
    kept = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return kept.replace("$", r"\$")


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
