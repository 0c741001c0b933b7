"""One picture on its way through a network: prepared, layer by layer, to the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
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

if TYPE_CHECKING:
    from lenet.preparation import Stage

FOR, AGAINST, PLAIN, MARK = COLORS[1], COLORS[0], "#8C8C8C", COLORS[4]
NOTE_COLOR = "#555555"
MAP_INCHES, MOST_COLUMNS = 1.15, 16
NAMES_UPRIGHT = 6  # Longer class names are written aslant.


def stage(
    picture: np.ndarray,
    title: str,
    note: str = "",
    ax: Axes | None = None,
    box: tuple[int, int, int, int] | None = None,
    middle: tuple[float, float] | None = None,
) -> Axes:
    """A picture at one stage of its preparation.

    Args:
        picture: uint8 [height, width] or [height, width, 3].
        note: written below it.
        box: top, left, bottom and right, in pixels, of a part to frame.
        middle: row and column to mark with a cross.
    """
    ax = new_axes(ax, 2.5, 2.8)
    ax.imshow(picture, cmap=GRAY, vmin=0, vmax=255)
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
    maps: np.ndarray, ax: Axes | None = None, bar: str = "output", columns: int = MOST_COLUMNS
) -> Axes:
    """The feature maps of one layer side by side, numbered, over one scale, so that they compare.

    Args:
        maps: float [height, width, channels].
        bar: what the colour bar measures.
    """
    height, _, channels = maps.shape
    columns = min(columns, channels)
    ax = new_axes(ax, height=0.8 + _rows_inches(channels, columns))
    canvas, places = mosaic(np.moveaxis(maps, -1, 0), columns, gap=max(1, height // 7))
    show_matrix(canvas, ax, colormap=PERCEPTUAL, bar=bar)
    ax.set_aspect("equal")
    ax.set_anchor("W")
    without_ticks(ax)
    ax.set_frame_on(False)
    for number, (x, y) in enumerate(places):
        ax.text(x, y, f"{number}", ha="center", va="bottom", fontsize=7, color=NOTE_COLOR)
    return ax


def unit_bars(
    outputs: np.ndarray, ax: Axes | None = None, speaks: np.ndarray | None = None, answer: str = ""
) -> Axes:
    """The outputs of a fully connected layer, a bar for each unit.

    Args:
        outputs: float [units].
        speaks: float [units]: what each unit adds to the logit of the answer; colours the bars.
        answer: the class the network chose.
    """
    ax = new_axes(ax, height=1.7)
    places = np.arange(len(outputs))
    if speaks is None:
        ax.bar(places, outputs, width=0.8, color=PLAIN)
    else:
        for chosen, color, label in (
            (speaks > 0, FOR, f"speaks for {answer}"),
            (speaks < 0, AGAINST, f"speaks against {answer}"),
        ):
            ax.bar(places[chosen], outputs[chosen], width=0.8, color=color, label=label)
        ax.legend(fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98), frameon=False)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlim(-0.8, len(outputs) - 0.2)
    ax.margins(y=0.08)
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
    """One number for each class, the predicted one in colour, each written on its bar.

    Args:
        values: float [classes].
        percent: the numbers are probabilities, from 0 to 1.
    """
    ax = new_axes(ax, WIDTH / 2, 2.2)
    places = np.arange(len(values))
    colors = [FOR if place == predicted else PLAIN for place in places]
    bars = ax.bar(places, values, width=0.8, color=colors)
    if len(values) <= 12:
        labels = [percentage(value) if percent else f"{value:.1f}" for value in values]
        ax.bar_label(bars, labels, fontsize=8, padding=2)
    long = max(map(len, class_names)) > NAMES_UPRIGHT
    ax.set_xticks(places, class_names, rotation=40 if long else 0, ha="right" if long else "center")
    for label in ax.get_xticklabels():
        label.set_parse_math(False)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.margins(x=0.01, y=0.16)
    if percent:
        ax.set_ylim(0, 1.16)
        ax.set_yticks([0, 0.5, 1])
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_ylabel("probability" if percent else "logit", fontsize=8.5)
    ax.set_xlabel("class", fontsize=8.5, labelpad=1)
    _tidy(ax)
    return ax


def heat_over(
    image: np.ndarray,
    heat: np.ndarray,
    ax: Axes | None = None,
    bar: str = "",
    limits: tuple[float, float] | None = None,
    colormap: str = PERCEPTUAL,
) -> Axes:
    """A number for each pixel as colour over the image, whose outlines stay to be seen.

    Args:
        image: uint8 [height, width, channels].
        heat: float [height, width].
        bar: what the colours measure.
        limits: the values for the ends of the colour map; default the least and the greatest.
    """
    ax = new_axes(ax, 4.2, 3.6)
    gray = image.mean(-1)
    show_matrix(heat, ax, colormap=colormap, limits=limits, bar=bar)
    if np.ptp(gray) > 0:
        ax.contour(gray, levels=[(gray.max() + gray.min()) / 2], colors="white", linewidths=1.3)
    ax.set_aspect("equal")
    without_ticks(ax)
    return ax


def percentage(probability: float) -> str:
    """A probability as one reads it: 100 % and 0 % only where it is that to four digits."""
    percent = 100 * probability
    if 99.95 <= percent < 99.995 or 0.005 <= percent < 0.05:
        return f"{percent:.2f} %"
    return f"{percent:.1f} %" if 0.05 <= percent < 99.95 else f"{percent:.0f} %"


def explanation(
    stages: Sequence[Stage],
    convolutions: Mapping[str, np.ndarray],
    dense: Mapping[str, np.ndarray],
    logits: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    image: np.ndarray,
    headline: str = "",
    subtitle: str = "",
    when: str = "after the activation",
    speaks: np.ndarray | None = None,
    occlusion: np.ndarray | None = None,
    patch: int = 0,
    saliency: np.ndarray | None = None,
) -> Figure:
    """Everything between a picture and its answer, from top to bottom, in one figure.

    Args:
        stages: the picture's preparation; the last is what the network sees.
        convolutions: feature maps by layer, float [height, width, channels].
        dense: outputs by fully connected layer, all but the last, float [units].
        logits, probabilities: float [classes].
        image: what the network sees, uint8 [height, width, channels].
        when: before or after which activation maps and outputs are.
        speaks: float [units]: what each unit of the last of `dense` adds to the predicted logit.
        occlusion: the predicted class's probability while a gray patch hides the surroundings of
            each pixel, float [height, width].
        patch: that patch's side, in pixels.
        saliency: how much the predicted logit changes with each pixel, float [height, width].
    """
    predicted = int(probabilities.argmax())
    answer = class_names[predicted]
    panels = [(2.55, lambda part: _draw_stages(part, stages))]
    for name, maps in convolutions.items():
        panels.append((_maps_inches(maps), _maps_panel(name, maps, when)))
    for place, (name, outputs) in enumerate(dense.items()):
        last = place == len(dense) - 1
        panels.append((1.65, _units_panel(name, outputs, when, speaks if last else None, answer)))
    panels.append((2.35, _answer_panel(logits, probabilities, class_names)))
    if occlusion is not None or saliency is not None:
        panels.append((3.7, _overlays_panel(image, occlusion, patch, saliency, answer)))
    heights = [height for height, _ in panels]
    figure = Figure(figsize=(WIDTH, 0.8 + sum(heights)), layout="constrained")
    figure.suptitle(f"{headline}\n", fontsize=16, fontweight="bold", parse_math=False)
    figure.text(
        0.5,
        1 - 0.5 / figure.get_figheight(),
        subtitle,
        ha="center",
        va="top",
        fontsize=10,
        color=NOTE_COLOR,
        parse_math=False,
    )
    parts = figure.subfigures(len(panels), 1, height_ratios=heights)
    for part, (_, draw) in zip(np.atleast_1d(parts), panels, strict=True):
        draw(part)
    return figure
