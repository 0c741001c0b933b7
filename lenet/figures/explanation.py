"""One picture on its way through a network: prepared, layer by layer, to the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
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
    from lenet.data.preparation import Stage

FOR, AGAINST, PLAIN, MARK = COLORS[1], COLORS[0], "#8C8C8C", COLORS[4]
NOTE_COLOR = "#555555"
ARROW_GAP = 0.16  # Between two stages, as a share of a picture's width.
FEWEST_COLUMNS = 5  # So that a few stages stay at the left, with short arrows between them.
SHINING_THROUGH = 0.65
OCCLUSION, SALIENCY = PERCEPTUAL, "inferno"
MOST_COLUMNS, MOST_MAP_INCHES = 16, 1.75
GAP = 0.2  # Between two maps, as a share of their height: room for a number.
# Heights of the figure's rows; the first is above them all.
HEADER_INCHES, STAGES_INCHES, UNITS_INCHES, ANSWER_INCHES, HEAT_INCHES = 0.8, 2.45, 1.7, 2.5, 3.9
LEAST_SPAN = 1e-3  # Of a colour bar.
FEWEST_BARS = 6  # Fewer are drawn no wider than so many.
LONGEST_LEVEL_NAME = 5  # Longer class names are written upwards,
LONGEST_TICK, LONGEST_TEXT, LONGEST_HEADLINE = 14, 20, 80  # and cut off here.


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
    ax = new_axes(ax, height=_maps_inches(maps))
    canvas, places = mosaic(np.moveaxis(maps, -1, 0), columns, gap=max(1, round(GAP * height)))
    picture = show_matrix(canvas, ax, colormap=PERCEPTUAL, limits=_limits(maps), bar=bar)
    picture.set_cmap(picture.get_cmap().with_extremes(bad="none"))
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
        answer: the class the network chose, for the legend.
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
        labels = [percentage(v) if percent else f"{v:.1f}".replace("-", "−") for v in values]
        ax.bar_label(bars, labels, fontsize=8, padding=2)
    rotation = 90 if max(map(len, class_names)) > LONGEST_LEVEL_NAME else 0
    ax.set_xticks(places, [_plain(name, LONGEST_TICK) for name in class_names], rotation=rotation)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.margins(y=0.16)
    if not values.any():
        ax.set_ylim(-1, 1)
    beside = max(0.0, FEWEST_BARS - len(values)) / 2
    ax.set_xlim(-0.6 - beside, len(values) - 0.4 + beside)
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
    """A number for each pixel as colour, over which the image can still be made out.

    Args:
        image: uint8 [height, width], whose outline is drawn; or [height, width, 3], which shines
            through in gray.
        heat: float [height, width].
        bar: what the colours measure.
    """
    ax = new_axes(ax, 4.2, 3.6)
    picture = show_matrix(heat, ax, colormap=colormap, limits=_limits(heat), bar=bar)
    if image.ndim == 3:
        ax.imshow(image.mean(-1), cmap=GRAY, zorder=picture.get_zorder() - 1)
        picture.set_alpha(SHINING_THROUGH)
    elif np.ptp(image) > 0:
        lines = ax.contour(image, [(image.max() + image.min()) / 2], colors="white", linewidths=1.4)
        lines.set_path_effects([withStroke(linewidth=3.2, foreground="black")])
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
    activations: Mapping[str, str],
    headline: str = "",
    subtitle: str = "",
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
        activations: the function behind each of those layers, e.g. "relu", by layer.
        speaks: float [units]: what each unit of the last of `dense` adds to the predicted logit.
        occlusion: the predicted class's probability while a gray patch hides what is around each
            pixel, float [height, width].
        patch: that patch's side, in pixels.
        saliency: how much the predicted logit changes with each pixel, float [height, width].
    """
    answer = _plain(class_names[int(probabilities.argmax())])
    hidden = occlusion is not None or saliency is not None
    heights = [STAGES_INCHES, *map(_maps_inches, convolutions.values())]
    heights += [UNITS_INCHES] * len(dense) + [ANSWER_INCHES] + [HEAT_INCHES] * hidden
    figure, rows = _sheet(heights, headline, subtitle)

    _stages_row(next(rows), stages)
    for name, maps in convolutions.items():
        _maps_row(next(rows), name, maps, activations[name])
    for name, outputs in dense.items():
        of_last = speaks if name == list(dense)[-1] else None
        _units_row(next(rows), name, outputs, activations[name], of_last, answer)
    _answer_row(next(rows), logits, probabilities, class_names)
    if hidden:
        _heat_row(next(rows), stages[-1].picture, occlusion, patch, saliency, answer)
    return figure


def _sheet(
    heights: Sequence[float], headline: str, subtitle: str
) -> tuple[Figure, Iterator[SubFigure]]:
    """An empty figure with its headline, and its rows from top to bottom."""
    total = HEADER_INCHES + sum(heights)
    figure = Figure(figsize=(WIDTH, total), layout=ConstrainedLayoutEngine(w_pad=0.12))
    parts = figure.subfigures(1 + len(heights), 1, height_ratios=[HEADER_INCHES, *heights])
    header, *rows = np.asarray(parts)
    for place, text, longest, size, options in (
        (0.68, headline, LONGEST_HEADLINE, 17, {"fontweight": "bold"}),
        (0.24, subtitle, 2 * LONGEST_HEADLINE, 10, {"color": NOTE_COLOR}),
    ):
        header.text(0.012, place, _plain(text, longest), fontsize=size, va="center", **options)
    return figure, iter(rows)


def _heading(row: SubFigure, heading: str, note: str) -> None:
    """A row's title at its left, in bold, and behind it what there is to see."""
    text = row.suptitle(heading, x=0.012, ha="left", fontsize=11, fontweight="bold")
    behind = Annotation(
        note, (1, 0), (9, 0.5), xycoords=text, textcoords="offset points", fontsize=9.5
    )
    behind.set(color=NOTE_COLOR, in_layout=False, verticalalignment="bottom")
    row.add_artist(behind)


def _stages_row(row: SubFigure, stages: Sequence[Stage]) -> None:
    _heading(row, "Preparation", "what becomes of the picture before the network sees it")
    widths = [np.clip(s.picture.shape[1] / s.picture.shape[0], 0.75, 1.35) for s in stages]
    widths += [1.0] * (FEWEST_COLUMNS - len(stages))
    grid = row.add_gridspec(1, len(widths), width_ratios=widths, wspace=ARROW_GAP)
    for place, shown in enumerate(stages):
        ax = row.add_subplot(grid[place])
        stage(shown.picture, shown.title, shown.note, ax, shown.box, shown.middle)
        if place:
            ax.annotate(
                "→", (0, 0.5), (-5, 0), "axes fraction", "offset points", ha="right", va="center",
                fontsize=15, color=MARK, in_layout=False,
            )  # fmt: skip


def _maps_row(row: SubFigure, name: str, maps: np.ndarray, activation: str) -> None:
    height, width, channels = maps.shape
    _heading(
        row,
        f"{name}: {channels} feature maps of {width} × {height}",
        f"after {activation}; each shows where in the picture one kernel finds what it looks for",
    )
    layer_maps(maps, row.add_subplot())


def _units_row(
    row: SubFigure,
    name: str,
    outputs: np.ndarray,
    activation: str,
    speaks: np.ndarray | None,
    answer: str,
) -> None:
    silent = np.count_nonzero(outputs == 0)
    note = f"after {activation}" + (f"; {silent} of them silent, at 0" if silent else "")
    _heading(row, f"{name}: {len(outputs)} units", note)
    unit_bars(outputs, row.add_subplot(), speaks, answer)


def _answer_row(
    row: SubFigure, logits: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> None:
    _heading(
        row,
        "The answer",
        "a logit for each class, and the probabilities that softmax makes of them",
    )
    predicted = int(probabilities.argmax())
    left, right = row.subplots(1, 2)
    class_bars(logits, class_names, predicted, left)
    class_bars(probabilities, class_names, predicted, right, percent=True)


def _heat_row(
    row: SubFigure,
    seen: np.ndarray,
    occlusion: np.ndarray | None,
    patch: int,
    saliency: np.ndarray | None,
    answer: str,
) -> None:
    _heading(row, f"What the answer {answer} hangs on", "pixel by pixel")
    grid = row.add_gridspec(1, 3)
    places = iter(range(3))
    stage(seen, "What the network sees", "", row.add_subplot(grid[next(places)]))
    if occlusion is not None:
        title = (
            f"Occlusion: probability of {answer} with a gray\n"
            f"patch of {patch} × {patch} pixels here ({percentage(occlusion.min())} at worst)"
        )
        ax = heat_over(
            seen,
            occlusion,
            row.add_subplot(grid[next(places)]),
            f"probability of {answer}",
            colormap=OCCLUSION,
        )
        ax.set_title(title, fontsize=10)
    if saliency is not None:
        title = f"Gradient: how much the logit of {answer}\nchanges if this pixel changes a little"
        ax = heat_over(
            seen,
            saliency,
            row.add_subplot(grid[next(places)]),
            "|∂ logit / ∂ pixel|",
            colormap=SALIENCY,
        )
        ax.set_title(title, fontsize=10)


def _maps_inches(maps: np.ndarray) -> float:
    """How high a layer's row is: its maps as large as the width allows, but not larger than useful."""
    height, width, channels = maps.shape
    columns = min(MOST_COLUMNS, channels)
    each = min(MOST_MAP_INCHES, (WIDTH - 1.5) / columns)
    return 0.6 + -(-channels // columns) * each * height / width


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest value, not so close that a colour bar could not tell them apart."""
    least, greatest = float(values.min()), float(values.max())
    return min(least, greatest - LEAST_SPAN), greatest


def _plain(words: str, longest: int = LONGEST_TEXT) -> str:
    """Words of the user's, not too long, in which a dollar sign begins no formula."""
    kept = words if len(words) <= longest else f"{words[: longest - 1]}…"
    return kept.replace("$", r"\$")


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
