"""Draws a measurement: ratios with their spread, and the speed and memory of `lenet` by size."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from experiments.bench.rounds import Answer
from lenet.figures.style import COLORS, WIDTH

# Heights in inches: a panel's title and axis, a row, and the extra height per setting in a row.
MARGIN, ROW, SETTING = 1.2, 0.14, 0.1
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
    if "growth" in parts:
        heights.append(GROWTH_HEIGHT)
    figure = Figure(figsize=(WIDTH, 0.4 + sum(heights)), layout="constrained")
    figure.suptitle(f"{results['processor']}, {results['cpus']} processors, {results['date'][:10]}")
    if heights:
        rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for row, (name, ratios) in zip(rows, panels, strict=False):
            draw_ratios(ratios, row.subplots(), TITLES[name])
        if "growth" in parts:
            draw_growth(parts["growth"], rows[-1].subplots(2, 4))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_ratios(ratios: Sequence[Answer], ax: Axes, title: str) -> None:
    """One row per comparison, with a dot at the median and a line over the range per setting."""
    titles, settings = _in_order(ratios, "title"), _in_order(ratios, "setting")
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
    low = min(0.9, *(ratio["minimum"] for ratio in ratios))
    high = max(1.1, *(ratio["maximum"] for ratio in ratios))
    ax.set_xscale("log")
    ax.set_xlim(low / 1.05, high * 1.05)
    _show_ticks(ax, [tick for tick in TICKS if low / 1.05 <= tick <= high * 1.05])
    ax.set_title(title, loc="left")
    ax.set_xlabel("ratio of times, median with minimum and maximum")
    for index, setting in enumerate(settings):
        ax.plot([], [], "o-", color=COLORS[index % len(COLORS)], markersize=4, label=setting)
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(axis="x", color="0.9")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


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
    settings = len(_in_order(ratios, "setting"))
    return MARGIN + len(_in_order(ratios, "title")) * (ROW + SETTING * settings) + 0.05 * settings


def _in_order(ratios: Sequence[Answer], key: str) -> list[str]:
    """The different values of a key, in the order in which they first occur."""
    return list(dict.fromkeys(ratio[key] for ratio in ratios))


def _show_ticks(ax: Axes, values: Sequence[float]) -> None:
    """Puts ticks at these values of a logarithmic axis, as plain numbers."""
    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.xaxis.set_minor_locator(NullLocator())
