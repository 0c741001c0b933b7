"""Curves over the steps of a run: loss, accuracy, and the diagnostics of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lenet.diagnostics import DIAGNOSTICS
from lenet.figures.style import COLORS, TEST_COLOR, TRAIN_COLOR, WIDTH, new_axes, set_title

Curve = tuple[np.ndarray, np.ndarray]


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """The running mean over `window` values, over fewer at both ends; float [n]."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    first = np.maximum(np.arange(len(values)) - window // 2, 0)
    last = np.minimum(np.arange(len(values)) + window - window // 2, len(values))
    return (sums[last] - sums[first]) / (last - first)


def learning_curve(
    train: Curve,
    test: Curve,
    name: str = "loss",
    ax: Axes | None = None,
    guess: float | None = None,
    validation: Curve | None = None,
    kept: int | None = None,
) -> Axes:
    """Loss or accuracy on the training batches and on the test images, over the steps.

    Args:
        train: steps and the value of each batch, drawn in a pale colour, with the running mean.
        test: steps and the value on the whole test set.
        name: "loss" (in nats) or "accuracy" (from 0 to 1).
        guess: the value for random guessing, drawn as a dotted line.
        validation: steps and the value on all validation images.
        kept: the step whose weights early stopping has kept, drawn as a vertical line.
    """
    ax = new_axes(ax, width=WIDTH / 2, height=4.5)
    steps, values = train
    window = max(1, len(values) // 50)
    ax.plot(steps, values, color=TRAIN_COLOR, alpha=0.25, linewidth=0.7)
    label = "training batches" if window == 1 else f"training, mean of {window} batches"
    ax.plot(steps, smooth(values, window), color=TRAIN_COLOR, linewidth=1.6, label=label)
    # Dashed if the line only connects a few measurements.
    looks: dict[str, Any] = {"marker": "o", "linestyle": "--"} if len(test[0]) < 40 else {}
    ax.plot(*test, color=TEST_COLOR, markersize=5, label="all test images", **looks)
    if validation is not None:
        ax.plot(*validation, color=COLORS[2], markersize=4, label="validation images", **looks)
    if kept is not None:
        ax.axvline(kept, color=COLORS[7], linewidth=1.0, label=f"weights kept: step {kept:,}")
    if guess is not None:
        value = f"{100 * guess:.3g} %" if name == "accuracy" else f"{guess:.3g}"
        ax.axhline(guess, color=COLORS[7], linestyle=":", label=f"guessing: {value}")
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel("step (optimizer updates)")
    ax.set_ylabel("cross-entropy loss (nats)" if name == "loss" else name)
    set_title(ax, name)
    ax.grid(alpha=0.3)
    ax.legend(loc="best")
    return ax


def learning_curves(
    train: Mapping[str, Curve],
    test: Mapping[str, Curve],
    num_classes: int,
    title: str = "",
    validation: Mapping[str, Curve] | None = None,
    kept: int | None = None,
) -> Figure:
    """Loss and accuracy next to each other.

    Args:
        train, test, validation: curves by tag, "loss" and "accuracy".
        kept: the step whose weights early stopping has kept.
    """
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    figure.suptitle(title)
    guesses = {"loss": float(np.log(num_classes)), "accuracy": 1 / num_classes}
    for index, (name, guess) in enumerate(guesses.items()):
        ax = figure.add_subplot(1, 2, index + 1)
        held_out = validation[name] if validation else None
        learning_curve(train[name], test[name], name, ax, guess, held_out, kept)
    return figure


def diagnostic(
    layers: Mapping[str, Curve], kind: str = "gradient_norm", ax: Axes | None = None
) -> Axes:
    """One diagnostic of every layer over the steps.

    Args:
        layers: curves (steps and values) by layer.
        kind: a key of DIAGNOSTICS.
    """
    ax = new_axes(ax, width=WIDTH / 2, height=3.8)
    shown = DIAGNOSTICS[kind]
    for index, (name, (steps, values)) in enumerate(layers.items()):
        ax.plot(
            steps, values, color=COLORS[index % len(COLORS)], marker=".", markersize=5, label=name
        )
    if shown.scale == "percent":
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif shown.scale == "linear":
        ax.set_ylim(bottom=0)
    elif any((values > 0).any() for _, values in layers.values()):
        ax.set_yscale("log")
    ax.set_xlabel("step (optimizer updates)")
    ax.set_ylabel(shown.meaning, fontsize=9)
    set_title(ax, shown.title)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, ncols=3)
    return ax


def diagnostics(kinds: Mapping[str, Mapping[str, Curve]], title: str = "") -> Figure:
    """All diagnostics of every layer.

    Args:
        kinds: curves (steps and values) by diagnostic, then by layer.
    """
    rows = -(-len(kinds) // 2)
    figure = Figure(figsize=(WIDTH, 4.0 * rows), layout="constrained")
    figure.suptitle(title)
    for index, (kind, layers) in enumerate(kinds.items()):
        diagnostic(layers, kind, figure.add_subplot(rows, 2, index + 1))
    return figure
