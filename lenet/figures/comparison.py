"""Many runs compared: curves with a band over seeds, diagnostics of every layer, weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from lenet.diagnostics import Scale
from lenet.figures.curves import Curve, smooth
from lenet.figures.style import COLORS, figure_of, new_axes

PANEL_WIDTH = 3.5  # inches; three are next to each other on a page.
POINTS = 160  # Maximum number of points of a curve; a small panel cannot show more.
START_COLOR = "#8a929b"
NAME_SIZE = 8.0  # Points.
FIRST_SEED, FURTHER_SEED = (1.4, "-"), (0.8, (0, (4, 2)))  # Width and dash.
WIDEST, THINNEST = 2.2, 1.2  # Points. Earlier lines are wider, to be seen below later ones.
MOST_HIDDEN = 3  # Lines that are named.
UNDER_TEXT = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.6}
DASHES = ("-", "--", ":", "-.")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ROUND_STEPS = (1, 1.5, 2, 3, 4, 5, 7)


@dataclass(frozen=True)
class Line:
    """One combination in a panel: its colour and dash, and a curve for each seed.

    Attributes:
        train, test, validation: one curve (steps and values) for each seed.
        kept: the step whose weights early stopping has kept, for each seed.
        name: what a note calls it.
    """

    color: str
    dash: str
    train: Sequence[Curve]
    test: Sequence[Curve]
    validation: Sequence[Curve] = ()
    kept: Sequence[int] = ()
    name: str = ""


def look(index: int) -> tuple[str, str]:
    """Colour and dash of a line: eight colours, then the same colours with different dashes."""
    return COLORS[index % len(COLORS)], DASHES[index // len(COLORS) % len(DASHES)]


def framed(
    height: float,
    left: float = 0.58,
    top: float = 0.3,
    hspace: float = 0.0,
    wspace: float = 0.0,
    right: float = 0.07,
) -> Figure:
    """A small figure with fixed margins, because an automatic layout takes twice as long.

    Args:
        height, left, top, right: inches, with room for tick labels and the name of each axis.
        hspace, wspace: the gap between subplots, as a share of a subplot's size.
    """
    figure = Figure(figsize=(PANEL_WIDTH, height))
    figure.subplots_adjust(
        left=left / PANEL_WIDTH,
        right=1 - right / PANEL_WIDTH,
        bottom=0.45 / height,
        top=1 - top / height,
        hspace=hspace,
        wspace=wspace,
    )
    return figure


def layer_colors(count: int) -> list[str]:
    """One colour per layer, from dark (the first) to light. No combination has these colours."""
    return [to_hex(colormaps["magma"](share)) for share in np.linspace(0.08, 0.76, count)]


def band(curves: Sequence[Curve], window: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation over seeds, at the steps that the curves of all seeds cover.

    Args:
        curves: steps and values of each seed; if the steps differ, values are interpolated
            linearly.
        window: the number of values in the running mean that first smooths the curves.

    Returns:
        Steps, means and (sample) standard deviations, float [n] with n of at most 160. The
        deviations are 0 if there is only one seed.
    """
    last = min(float(steps[-1]) for steps, _ in curves)
    first = max(float(steps[0]) for steps, _ in curves)
    own = np.asarray(curves[0][0], float)
    steps = own[(own >= first) & (own <= last)]
    if len(steps) > POINTS:
        steps = steps[np.linspace(0, len(steps) - 1, POINTS).round().astype(int)]
    values = np.stack(
        [np.interp(steps, s, smooth(np.asarray(v, float), window)) for s, v in curves]
    )
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(steps))
    return steps, values.mean(0), spread


def panel(
    lines: Sequence[Line],
    name: str,
    ax: Axes | None = None,
    guess: float | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Training and test curves of several combinations, mean over seeds with a band.

    Args:
        name: "loss" (nats) or "accuracy" (0 to 1).
        guess: the value for random guessing, drawn as a dotted line.
        limits: the ends of the y axis.
    """
    ax = new_axes(ax, width=PANEL_WIDTH, height=2.4)
    widths = np.linspace(WIDEST, THINNEST, len(lines)) if len(lines) > 1 else [THINNEST]
    for line, width in zip(lines, widths, strict=True):
        train = [(s[np.isfinite(v)], v[np.isfinite(v)]) for s, v in line.train]
        train = [(s, v) for s, v in train if len(s) > 1]
        if train:
            window = max(1, min(len(values) for _, values in train) // 40)
            _draw_band(ax, band(train, window), line, linewidth=float(width), alpha=0.9)
        validation = _finite(line.validation)
        if validation:
            steps, mean, _ = band(validation)
            ax.plot(
                steps, mean, color=line.color, linestyle="none", marker="D", markersize=3.2,
                markerfacecolor="white", zorder=2.5,
            )  # fmt: skip
        test = _finite(line.test)
        if test:
            steps, mean, spread = band(test)
            ax.errorbar(
                steps, mean, spread if spread.any() else None, color=line.color, linestyle="none",
                marker="o", markersize=3.8 + width, markeredgecolor="white", markeredgewidth=0.8,
                capsize=2.5, linewidth=1.2, zorder=3,
            )  # fmt: skip
        for step in line.kept:
            ax.axvline(step, color=line.color, linewidth=0.9, linestyle=(0, (4, 2)))
    if guess is not None:
        ax.axhline(guess, color=START_COLOR, linestyle=":", linewidth=1.2)
        if limits is None or limits[0] <= guess <= limits[1]:
            ax.annotate(
                "guessing", (1, guess), (-2, 5), xycoords=("axes fraction", "data"), ha="right",
                textcoords="offset points", fontsize=7.5, color="#57606a", zorder=4,
                bbox=UNDER_TEXT,
            )  # fmt: skip
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if limits is not None:
        ax.set_ylim(*limits)
    _plain(ax)
    return ax


def _finite(curves: Sequence[Curve]) -> list[Curve]:
    """The finite points of each curve, without empty curves."""
    finite = [(s[np.isfinite(v)], v[np.isfinite(v)]) for s, v in curves]
    return [(s, v) for s, v in finite if len(s)]


def learning_panels(
    loss: Sequence[Line],
    accuracy: Sequence[Line],
    num_classes: int,
    last_step: float,
    maximum_loss: float,
    zoom_from: float | None,
) -> Figure:
    """Loss, accuracy, and accuracy again from `zoom_from` up, below each other.

    Args:
        last_step, maximum_loss: the ends of the axes, the same for all panels of a page.
    """
    rows = 3 if zoom_from is not None else 2
    figure = framed(2.1 * rows, top=0.1, hspace=0.09)
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    panel(loss, "loss", axes[0], float(np.log(num_classes)), (0, maximum_loss))
    axes[0].set_ylabel("loss (nats)")
    panel(accuracy, "accuracy", axes[1], 1 / num_classes, (0, 1.02))
    axes[1].set_ylabel("accuracy")
    if zoom_from is not None:
        panel(accuracy, "accuracy", axes[2], None, (zoom_from, 1.002))
        # A label with high letters would be cut at the edge.
        axes[2].set_ylabel(f"accuracy from {100 * zoom_from:.0f} %", labelpad=2)
        _name_hidden(axes[2], accuracy, zoom_from)
    axes[-1].set_xlim(-0.015 * last_step, 1.015 * last_step)
    axes[-1].set_xlabel("step (optimizer updates)")
    return figure


def by_layer(
    layers: Mapping[str, Sequence[Curve]],
    ax: Axes | None = None,
    label: str = "gradient norm",
    limits: tuple[float, float] | None = None,
    scale: Scale = "percent",
    last_step: float | None = None,
    percent: bool = False,
) -> Axes:
    """One number per layer over the steps: a line per layer and seed, with its name at the end.

    The first seed has thick lines, and the others have thin, dashed lines.

    Args:
        layers: the curves of all seeds by layer, in order of depth. A layer without curves only
            takes its colour.
        label: the label of the y axis.
        limits: the ends of the y axis.
        scale: the scale of the y axis; a logarithmic one leaves out values of 0.
        last_step: the end of the x axis; by default, the end of the curves.
        percent: whether a logarithmic axis shows its values in percent.
    """
    ax, log = new_axes(ax, width=PANEL_WIDTH, height=2.4), scale == "logarithmic"
    ends: list[tuple[float, str, str]] = []
    for (name, seeds), color in zip(layers.items(), layer_colors(len(layers)), strict=True):
        last: list[float] = []
        for number, (steps, values) in enumerate(seeds):
            shown = np.isfinite(values) & (np.asarray(values) > 0 if log else True)
            if not shown.any():
                continue
            alone = shown.sum() == 1  # A line through a single point would be invisible.
            width, dash = FURTHER_SEED if number else FIRST_SEED
            ax.plot(
                steps[shown], values[shown], color=color, linewidth=width, linestyle=dash,
                marker="." if alone else "",
            )  # fmt: skip
            last.append(float(values[shown][-1]))
        if last:
            ends.append((last[0], name, color))
    if log:
        ax.set_yscale("log")
        low, high = ax.dataLim.intervaly
        if limits is None and 0 < low <= high < 1.01 * low:  # A scale needs some height.
            limits = low / 2, high * 2
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value, percent)))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif scale == "percent":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if limits is not None:
        ax.set_ylim(*limits)
    elif scale == "linear":
        ax.set_ylim(bottom=0)
    if last_step is not None:
        ax.set_xlim(-0.03 * last_step, 1.03 * last_step)
    ax.set_ylabel(label)
    ax.set_xlabel("step (optimizer updates)")
    _plain(ax)
    _name_lines(ax, ends)
    return ax


def activity(
    saturated: Mapping[str, Sequence[Curve]],
    dead: Mapping[str, Sequence[Curve]],
    last_step: float | None = None,
) -> Figure:
    """Saturated outputs above, dead units below, by layer, over the steps."""
    figure = framed(3.3, left=0.72, top=0.12, hspace=0.1, right=0.5)
    above, below = figure.subplots(2, 1, sharex=True)
    limits = (-0.03, 1.03)
    by_layer(saturated, above, "saturated outputs", limits, last_step=last_step)
    above.set_xlabel("")
    by_layer(dead, below, "dead units", limits, last_step=last_step)
    return figure


def weight_histograms(
    start: Mapping[str, np.ndarray],
    end: Mapping[str, np.ndarray],
    color: str = COLORS[0],
    limits: Mapping[str, float] | None = None,
    columns: int = 3,
) -> Figure:
    """The distribution of each layer's weights, before training (outline) and after it (filled).

    Args:
        start, end: the kernels, by layer.
        limits: the absolute value at the ends of the x axis, by layer.
    """
    rows = -(-len(end) // columns)
    figure = framed(1.05 * rows + 0.4, left=0.3, top=0.22, hspace=0.55, wspace=0.14)
    for index, (name, kernel) in enumerate(end.items()):
        ax = figure.add_subplot(rows, columns, index + 1)
        both = [k.ravel()[np.isfinite(k.ravel())] for k in (start[name], kernel)]
        reach = (limits or {}).get(name) or max(float(np.abs(k).max(initial=1e-6)) for k in both)
        edges = np.linspace(-reach, reach, min(41, 5 + int(np.sqrt(kernel.size))))
        before, after = (np.histogram(k.clip(-reach, reach), edges)[0] / k.size for k in both)
        ax.stairs(after, edges, color=color, fill=True, alpha=0.75, linewidth=0)
        ax.stairs(before, edges, color="#30363d", linewidth=1.0)
        ax.set_title(name, fontsize=8.5, pad=2)
        ax.set_yticks([])
        tick = _round_number(
            0.7 * reach
        )  # Numbers further out would touch those of the next panel.
        ax.set_xticks([-tick, 0, tick], [f"−{tick:g}", "0", f"{tick:g}"])
        ax.tick_params(labelsize=7, length=2)
        ax.spines[["top", "right", "left"]].set_visible(False)
    figure.text(0.54, 0.06 / figure.get_figheight(), "weight", ha="center", fontsize=8.5)
    figure.supylabel("share of weights", x=0.03, fontsize=8.5)
    return figure


def _name_hidden(ax: Axes, lines: Sequence[Line], lowest: float) -> None:
    """Names the lines that are below the axes."""
    hidden = [
        line
        for line in lines
        if not any(np.any(values >= lowest) for _, values in [*line.train, *line.test])
        and [*line.train, *line.test]
    ]
    if not hidden:
        return
    names = [line.name for line in hidden[:MOST_HIDDEN]]
    if more := len(hidden) - len(names):
        names.append(f"{more} more")
    ax.annotate(
        f"not shown, below {100 * lowest:.0f} %:\n{', '.join(names)}", (1, 0), (-3, 4), ha="right",
        xycoords="axes fraction", textcoords="offset points", fontsize=7.5, color="#57606a",
        bbox=UNDER_TEXT, zorder=4,
    )  # fmt: skip


def _round_number(maximum: float) -> float:
    """The largest round number that is at most `maximum`, e.g. 0.15 for 0.19."""
    power = math.floor(math.log10(maximum))
    digits = max(step for step in ROUND_STEPS if step <= maximum / 10**power * (1 + 1e-9))
    return float(f"{digits * 10**power:.2g}")


def _draw_band(
    ax: Axes,
    curve: tuple[np.ndarray, np.ndarray, np.ndarray],
    line: Line,
    linewidth: float,
    alpha: float,
) -> None:
    steps, mean, spread = curve
    if spread.any():
        low, high = mean - spread, mean + spread
        ax.fill_between(steps, low, high, color=line.color, alpha=0.18, linewidth=0)
    ax.plot(steps, mean, color=line.color, linestyle=line.dash, linewidth=linewidth, alpha=alpha)


def _name_lines(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Writes the name of each line at its end and in its colour. Names do not overlap.

    Args:
        ends: the last value, the name and the colour of each line.
    """
    figure = figure_of(ax)
    # The height of the axes in lines of text.
    height = ax.get_position().height * figure.get_figheight() * 72 / (NAME_SIZE + 1.5)
    width = ax.get_position().width * figure.get_figwidth() * 72  # In points.
    ax.get_ylim()  # This computes the final scale. The places of the names depend on it.
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = [float(to_axes.transform((0, value))[1]) * height for value, _, _ in ends]
    order = np.argsort(heights, kind="stable")
    places: list[float] = []
    for index in order:
        lowest = places[-1] + 1 if places else 0.5
        places.append(max(lowest, min(heights[index], height - 0.5)))
    excess = max(0.0, places[-1] - (height - 0.5)) if places else 0.0
    for number in range(len(places) - 1, -1, -1):  # Moves names down if they are above the axes.
        highest = places[number + 1] - 1 if number + 1 < len(places) else places[-1] - excess
        places[number] = min(places[number], highest)
    for index, place in zip(order, places, strict=True):
        value, name, color = ends[index]
        end = float(to_axes.transform((ax.dataLim.x1, value))[0])
        ax.annotate(
            name, (1, place / height), (9, 0), xycoords="axes fraction",
            textcoords="offset points", va="center", fontsize=NAME_SIZE, color=color,
            annotation_clip=False,
        )  # fmt: skip
        ax.annotate(  # A thin line that leads from the end of the curve to its name.
            "", (end, heights[index] / height), (1 + 8 / width, place / height),
            xycoords="axes fraction", textcoords="axes fraction", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip


def _power(value: float, percent: bool = False) -> str:
    """A power of ten as text, e.g. "0.01", "1 %" or "10⁻⁵"; others as they are."""
    if percent:
        return f"{_power(100 * value)} %"
    exponent = math.floor(math.log10(value) + 0.5)
    if -3 <= exponent <= 3 or not math.isclose(value, 10.0**exponent):
        return f"{value:g}"
    return f"10{str(exponent).translate(RAISED)}"


def _plain(ax: Axes) -> None:
    ax.grid(alpha=0.25, linewidth=0.7)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.label.set_size(8.5)
    ax.yaxis.label.set_size(8.5)
