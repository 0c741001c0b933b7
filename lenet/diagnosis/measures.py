"""Computes the numbers that the rules compare from what a run recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lenet.diagnosis.record import Series


class EarlyGradients(NamedTuple):
    """How the gradient norms of the first and the last layer compare early in training.

    Attributes:
        ratio: the geometric mean of (norm at the first layer) / (norm at the last).
        first, last: the names of these layers.
        until: the last step that is included.
    """

    ratio: float
    first: str
    last: str
    until: int


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
    ratios = np.maximum(first[early] / last[early], 1e-12)
    ratio = float(np.exp(np.log(ratios).mean()))
    return EarlyGradients(ratio, layers[0], layers[-1], int(steps[early].max()))


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
