"""Draws a measurement: ratios with their spread, and the speed and memory of `lenet` by size."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from experiments.bench.results import in_order
from experiments.bench.rounds import Answer
from lenet.figures.style import COLORS, WIDTH

# Heights in inches: a panel's title, the axis below the last one, a row, and the extra height per setting in a row.
TITLE, MARGIN, ROW, SETTING = 0.6, 0.6, 0.14, 0.1
GROWTH_HEIGHT = 4.5
TICKS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)
TITLES = {
    "train": "Training",
    "looking": "Training with the same things logged",
    "job": "The complete job, from process start to end",
    "target": "99 % of MNIST's test images, from process start to end",
    "grid": "Eight runs",
}


def draw(results: Answer) -> bytes:
    """The figure as a PNG file."""
    parts = results["parts"]
    panels = [(name, parts[name]["ratios"]) for name in TITLES if parts.get(name, {}).get("ratios")]
    heights = [_height(ratios) for _, ratios in panels]
    rows = [sum(heights) + MARGIN] * bool(panels) + [GROWTH_HEIGHT] * ("growth" in parts)
    figure = Figure(figsize=(WIDTH, 0.4 + sum(rows)), layout="constrained")
    figure.suptitle(f"{results['processor']}, {results['cpus']} processors, {results['date'][:10]}")
    if rows:
        areas = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
        if panels:
            axes = areas[0].subplots(
                len(panels), 1, sharex=True, height_ratios=heights, squeeze=False
            )[:, 0]
            for (name, ratios), ax in zip(panels, axes, strict=True):
                draw_ratios(ratios, ax, TITLES[name])
            _scale(axes, [ratio for _, ratios in panels for ratio in ratios])
        if "growth" in parts:
            draw_growth(parts["growth"], areas[-1].subplots(2, 4))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_ratios(ratios: Sequence[Answer], ax: Axes, title: str) -> None:
    """One row per comparison, with a dot at the median and a line over the range per setting."""
    titles, settings = in_order(ratios, "title"), in_order(ratios, "setting")
    for ratio in ratios:
        setting = settings.index(ratio["setting"])
        row = titles.index(ratio["title"])
        y = row + 0.7 * ((setting + 0.5) / len(settings) - 0.5)
        color = COLORS[setting % len(COLORS)]
        ax.plot([ratio["minimum"], ratio["maximum"]], [y, y], color=color, linewidth=1.5)
        ax.plot([ratio["median"]], [y], "o", color=color, markersize=4)
    ax.axvline(1, color="0.4", linewidth=1, zorder=0)
    ax.set_yticks(range(len(titles)), titles)
    ax.set_ylim(len(titles) - 0.5, -0.5)
    ax.set_title(title, loc="left")
    for index, setting in enumerate(settings):
        ax.plot([], [], "o-", color=COLORS[index % len(COLORS)], markersize=4, label=setting)
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(axis="x", color="0.9")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _scale(axes: Sequence[Axes], ratios: Sequence[Answer]) -> None:
    """Gives all panels the same logarithmic scale, with its numbers below the last one."""
    low = min(0.9, *(ratio["minimum"] for ratio in ratios)) / 1.05
    high = max(1.1, *(ratio["maximum"] for ratio in ratios)) * 1.05
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xlim(low, high)
        _show_ticks(ax, [tick for tick in TICKS if low <= tick <= high])
    axes[-1].set_xlabel("ratio of times: median, with minimum and maximum; 1: equally fast")


def draw_growth(part: Answer, axes: np.ndarray) -> None:
    """Speed and memory over epochs, images and batch sizes, and event files over steps.

    Args:
        axes: Axes [2, 4].
    """
    columns = (
        ("epochs", "epoch", "memory_mb", "epoch (the first includes compiling)"),
        ("sizes", "images", "peak_mb", "training images"),
        ("batches", "batch_size", "peak_mb", "batch size"),
    )
    for (points, key, memory, label), (above, below) in zip(columns, axes.T[:3], strict=True):
        x = [point[key] for point in part[points]]
        above.plot(x, [p["images_per_second"] / 1000 for p in part[points]], ".-", color=COLORS[0])
        below.plot(x, [p[memory] for p in part[points]], ".-", color=COLORS[1])
        below.set_xlabel(label)
        for ax in (above, below):
            if key != "epoch":
                ax.set_xscale("log")
                _show_ticks(ax, x)
    axes[0, 0].set_title("lenet with all logging: thousand images/s", loc="left", fontsize=10)
    axes[1, 0].set_title("memory, MB", loc="left", fontsize=10)
    steps = [0, *(point["step"] for point in part["epochs"])]
    size = [0.0, *(point["event_bytes"] / 1e6 for point in part["epochs"])]
    axes[0, 3].plot(steps, size, ".-", color=COLORS[2])
    axes[0, 3].set_xlabel("step")
    axes[0, 3].set_title("event files, MB", loc="left", fontsize=10)
    axes[1, 3].remove()
    for ax in axes.flat[:-1]:
        ax.set_ylim(0, 1.1 * ax.dataLim.y1)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9")


def _height(ratios: Sequence[Answer]) -> float:
    """The height of a panel in inches."""
    settings = len(in_order(ratios, "setting"))
    return TITLE + len(in_order(ratios, "title")) * (ROW + SETTING * settings) + 0.05 * settings


def _show_ticks(ax: Axes, values: Sequence[float]) -> None:
    """Puts ticks at these values of a logarithmic axis, as plain numbers."""
    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.xaxis.set_minor_locator(NullLocator())
