"""Computes the numbers that the rules compare from what a run recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lenet.diagnosis.record import Record, Series

SMALLEST_RATIO = 1e-12  # Instead of 0, so that logarithms are finite.


class EarlyGradients(NamedTuple):
    """How the gradient norms of the first and the last layer compare early in training.

    Attributes:
        ratio: the geometric mean of (norm at the first layer) / (norm at the last).
        first, last: the names of these layers.
        at_first, at_last: the geometric means of the norms themselves.
        until: the last step that is included.
    """

    ratio: float
    first: str
    last: str
    at_first: float
    at_last: float
    until: int


class Movement(NamedTuple):
    """How far the kernel of one layer is from its start.

    Attributes:
        layer: the name of the layer.
        size: the L2 norm of the kernel at the start.
        distance: the L2 norm of the change since then.
        path: the sum of the sizes of all updates, estimated from the update ratios at the
            inspections. The distance cannot be larger.
    """

    layer: str
    size: float
    distance: float
    path: float

    @property
    def relative(self) -> float:
        return self.distance / self.size


def guesses(loss: float, accuracy: float, num_classes: int, share: float, better: float) -> bool:
    """Whether a loss and an accuracy are those of guessing.

    A network that assigns the same probability to each of n classes has a loss of ln n nats.

    Args:
        share: the share of the loss of guessing from which on the loss counts as guessing.
        better: the share of the way from guessing to perfect below which the accuracy does.
    """
    guess = 1 / num_classes
    return loss >= share * math.log(num_classes) and accuracy < guess + better * (1 - guess)


def early_gradients(norms: Mapping[str, Series], until: int) -> EarlyGradients | None:
    """Compares the gradient norms of the first and the last layer at the inspections up to a step.

    Args:
        norms: the gradient norms of each layer, in order of depth.

    Returns:
        The comparison; None if there is nothing to compare.
    """
    layers = list(norms)
    if len(layers) < 2:
        return None
    (steps, first), (_, last) = norms[layers[0]], norms[layers[-1]]
    early = (steps <= until) & np.isfinite(first) & np.isfinite(last) & (last > 0)
    if not early.any():
        return None
    at_first, at_last = first[early], last[early]
    ratio = geometric_mean(np.maximum(at_first / at_last, SMALLEST_RATIO))
    means = geometric_mean(np.maximum(at_first, SMALLEST_RATIO)), geometric_mean(at_last)
    return EarlyGradients(ratio, layers[0], layers[-1], *means, int(steps[early].max()))


def early_slopes(slopes: Mapping[str, Series], until: int) -> dict[str, float]:
    """The mean slope of each hidden layer's activation at the inspections up to a step."""
    means = {}
    for layer, (steps, values) in list(slopes.items())[:-1]:
        early = values[(steps <= until) & np.isfinite(values)]
        if len(early):
            means[layer] = float(early.mean())
    return means


def growth(norms: Series) -> tuple[float, float] | None:
    """The geometric means of a gradient norm over the first half and the last quarter of the steps.

    Step 0 does not count, because the initial weights are not yet those of training.

    Returns:
        None if there are fewer than four inspections or the gradient is 0.
    """
    steps, values = norms
    usable = (steps > 0) & np.isfinite(values) & (values > 0)
    steps, values = steps[usable], values[usable]
    if len(steps) < 4:
        return None
    before, after = values[steps <= steps[-1] / 2], values[steps > steps[-1] * 3 / 4]
    if not len(before) or not len(after):
        return None
    return geometric_mean(before), geometric_mean(after)


def movement(record: Record, layer: str) -> Movement | None:
    """How far a layer's kernel moved; None if that was not recorded."""
    steps, moved = record.by_layer("distance_moved").get(layer, (np.zeros(0), np.zeros(0)))
    _, ratios = record.by_layer("update_ratio").get(layer, (np.zeros(0), np.zeros(0)))
    size = record.kernel_sizes.get(layer, 0.0)
    if not len(moved) or not len(ratios) or not size or not math.isfinite(moved[-1]):
        return None
    path = float(ratios.mean()) * int(steps[-1]) * size
    return Movement(layer, size, float(moved[-1]) * size, path)


def mean_norm(norms: Series) -> float:
    """The mean gradient norm over all steps, interpolated between the inspections; NaN if unknown."""
    steps, values = norms
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if len(steps) < 2 or steps[-1] == steps[0]:
        return float(values[-1]) if len(values) else math.nan
    widths = np.diff(steps)
    return float(((values[1:] + values[:-1]) / 2 * widths).sum() / widths.sum())


def highest_hidden(layers: Mapping[str, Series]) -> tuple[float, str]:
    """The highest last value of any layer except the output layer, and the name of its layer."""
    hidden = {name: values for name, (_, values) in list(layers.items())[:-1] if len(values)}
    last = [(float(values[-1]), name) for name, values in hidden.items()]
    return max((pair for pair in last if math.isfinite(pair[0])), default=(0.0, ""))


def late_fall(losses: Series) -> float | None:
    """The share by which a loss fell from the third quarter of the steps to the last eighth.

    Only the last eighth counts, because a network that begins to learn at the very end is late
    but has not stalled.

    Returns:
        From 0 to 1, or below 0 if the loss rose; None if the curve is too short.
    """
    steps, values = losses
    if len(values) < 8:
        return None
    third_quarter = values[(steps > steps[-1] / 2) & (steps <= steps[-1] * 3 / 4)]
    last_eighth = values[steps > steps[-1] * 7 / 8]
    if not len(third_quarter):  # A resumed run may have only the last steps.
        return None
    return 1 - float(last_eighth.mean() / third_quarter.mean())


def last_epoch(record: Record) -> tuple[int, int] | None:
    """The positions, in the test curves, of the last evaluation and of one an epoch or more earlier.

    Returns:
        The earlier and the last position; None if no evaluation is both that early and after step 0.
    """
    steps, _ = record.test_accuracy
    earlier = np.flatnonzero(steps <= steps[-1] - record.steps_per_epoch) if len(steps) else []
    if not len(earlier) or steps[earlier[-1]] == 0:
        return None
    return int(earlier[-1]), len(steps) - 1


def last_rise(record: Record) -> float:
    """By how much the test accuracy rose over the last epoch, from -1 to 1; 0 if unknown."""
    accuracies = record.test_accuracy[1]
    ends = last_epoch(record)
    return float(accuracies[ends[1]] - accuracies[ends[0]]) if ends else 0.0


def left_guessing(losses: Series, low: float, high: float) -> int | None:
    """The step at which a training loss fell below the level of guessing for good.

    The loss is averaged over sixteen equal parts of the steps.

    Args:
        low, high: the losses between which a network guesses, in nats.

    Returns:
        The last step of the last part that is not below the level; None if that part is above it,
        if there is no such part, or if the curve is too short or ends at the level.
    """
    steps, values = losses
    if len(values) < 2 * 16:
        return None
    means = np.array([part.mean() for part in np.array_split(values, 16)])
    ends = [int(part[-1]) for part in np.array_split(steps, 16)]
    not_below = np.flatnonzero(means >= low)
    if not len(not_below) or not_below[-1] == len(means) - 1 or means[not_below[-1]] > high:
        return None
    return ends[int(not_below[-1])]


def geometric_mean(values: np.ndarray) -> float:
    """The geometric mean of positive values, float [n]."""
    return float(np.exp(np.log(values).mean()))
