"""Why a network does not learn: short sentences with recorded numbers, each with its plot.

Every function looks at the numbers alone, not at the names of the activation or the optimizer,
and returns None if the numbers were not recorded or show nothing. How a gradient shrinks on its
way back: S. Hochreiter, Untersuchungen zu dynamischen neuronalen Netzen, 1991; X. Glorot and
Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
"""

from __future__ import annotations

import math

import numpy as np

from lenet.diagnosis.advice import ended_by_early_stopping
from lenet.diagnosis.measures import (
    SMALLEST_RATIO,
    Movement,
    early_gradients,
    early_slopes,
    growth,
    highest_hidden,
    mean_norm,
    movement,
)
from lenet.diagnosis.progress import far_off_rate, highest_loss, largest_update
from lenet.diagnosis.record import Evidence, Record
from lenet.diagnosis.words import fraction, number, percent, percent_of_size
from lenet.diagnostics import HARDLY_MOVED, SATURATED_SLOPE
from lenet.option_checks import join

EARLY_STEPS, VANISHING_RATIO = 600, 1 / 20
NEARLY_KEPT = 0.5  # A share of a gradient.
EXPLAINED = 0.5  # The share of the fall of a gradient, in orders of magnitude.
HARDLY_SATURATED = 0.05  # A share of the outputs of a layer.
GROWING, SHRINKING = 1.5, 1 / 1.5  # Multiples of an earlier gradient norm.
SMALLEST_GRADIENT, NEARLY_ALL = 1e-11, 0.9  # NEARLY_ALL is a share of the units of a layer.
NEARLY_STEEPEST = 0.8  # A share of the greatest slope of an activation function.


def gathered(*steps: Evidence | None) -> tuple[Evidence, ...]:
    """The steps of an explanation that the numbers support."""
    return tuple(step for step in steps if step is not None)


def why_stuck(record: Record) -> tuple[Evidence, ...]:
    """Why a network stays at guessing: from the gradient to the kernel that does not move."""
    rate = far_off_rate(record)  # It is the first thing to rule out.
    if blocked := no_gradient(record):
        large = highest_loss(record) or largest_update(record)
        return gathered(rate, blocked, dead_layer(record), large)
    return gathered(
        rate,
        too_early(record),
        gradient_by_depth(record),
        slopes(record) if vanishes(record) else None,
        saturation(record) if vanishes(record) else None,
        first_layer_movement(record),
        None if rate else hope(record),
    )


def too_early(record: Record) -> Evidence | None:
    """That early stopping has ended the run before the network began to learn."""
    if not ended_by_early_stopping(record):
        return None
    patience = f"{record.early_stopping} epoch{'' if record.early_stopping == 1 else 's'}"
    sentence = (
        f"Early stopping ended the training after {record.epochs(record.step)}, because the "
        f"validation loss had not fallen for {patience}. A network that begins late is stopped "
        "before it begins."
    )
    return Evidence(sentence, "curves")


def vanishes(record: Record) -> bool:
    """Whether the gradient vanishes on its way to the first layer, early in training."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    return early is not None and early.ratio <= VANISHING_RATIO


def slopes_explain(record: Record) -> bool:
    """Whether the slopes of the activations account for most of a gradient's fall."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    factors = early_slopes(record.by_layer("slope"), EARLY_STEPS)
    if early is None or not factors or early.ratio >= 1:
        return False
    product = max(math.prod(factors.values()), 1e-30)
    return math.log(product) / math.log(early.ratio) >= EXPLAINED


def no_gradient(record: Record) -> Evidence | None:
    """That no gradient reaches the first layer any more."""
    norms = record.by_layer("gradient_norm")
    if not norms:
        return None
    layer, (steps, values) = next(iter(norms.items()))
    if not len(values) or not values[-1] <= SMALLEST_GRADIENT:
        return None
    sentence = (
        f"At step {steps[-1]:,}, the gradient norm at {layer} is 0, so {layer} cannot change any "
        "more, however long training takes."
    )
    return Evidence(sentence, "gradients")


def dead_layer(record: Record) -> Evidence | None:
    """A hidden layer in which all or nearly all units are dead."""
    share, layer = dead_share(record)
    if share < NEARLY_ALL:
        return None
    sentence = (
        f"The reason: {units(record, layer, share)} are dead. They have the same output for every "
        "probe image."
    )
    return Evidence(sentence, "activity")


def gradient_by_depth(record: Record) -> Evidence | None:
    """The gradient norms of the first and the last layer."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early is None or early.at_first <= SMALLEST_GRADIENT:
        return None
    when = f"Over the first {early.until:,} steps" if early.until else "Before training"
    sentence = (
        f"{when}, the gradient norm is {number(early.at_first)} at {early.first} and "
        f"{number(early.at_last)} at {early.last} (geometric means)"
    )
    if early.ratio <= VANISHING_RATIO:
        sentence += (
            f": the norm at {early.first} is only {fraction(early.ratio)} of that at {early.last}"
        )
    else:
        sentence += f": the gradient reaches {early.first}"
    return Evidence(f"{sentence}.", "gradients")


def slopes(record: Record) -> Evidence | None:
    """The slopes of the activations on the way from the last layer to the first."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    factors = early_slopes(record.by_layer("slope"), EARLY_STEPS)
    if early is None or not factors:
        return None
    product = math.prod(factors.values())
    each = join([f"{value:.2f} at {layer}" for layer, value in reversed(factors.items())])
    sentence = (
        f"On its way back from {early.last} to {early.first}, a gradient is multiplied by the slope "
        f"of each activation: {each}."
    )
    if product >= NEARLY_KEPT:
        return Evidence(f"{sentence} That hardly reduces it: small weights do.", "slope")
    shrunk = "zero" if product < 1e-9 else fraction(product)
    sentence += f" Together, the slopes alone reduce it to {shrunk} of its size."
    rest = early.ratio / max(product, 1e-30)
    if not slopes_explain(record):
        sentence += " That is the smaller part of the fall: small weights are the larger part."
    elif product >= 1e-9 and early.ratio > SMALLEST_RATIO:
        change = f"make it {number(rest)} times as large" if rest > 1 else "reduce it further"
        sentence += (
            f" The weights, and in a convolution the sum over all positions, {change}. That "
            f"results in the {fraction(early.ratio)} above."
        )
    return Evidence(sentence, "slope")


def saturation(record: Record) -> Evidence | None:
    """Whether the slopes are small because the outputs are saturated."""
    hidden = list(record.by_layer("saturated_fraction").items())[:-1]
    shares = {
        layer: float(values[(steps <= EARLY_STEPS) & np.isfinite(values)].mean())
        for layer, (steps, values) in hidden
        if ((steps <= EARLY_STEPS) & np.isfinite(values)).any()
    }
    if not shares or not slopes_explain(record):
        return None
    layer = max(shares, key=lambda name: shares[name])
    if shares[layer] <= HARDLY_SATURATED:
        most = f"at most {percent(shares[layer])}" if shares[layer] else "none"
        sentence = (
            f"This is not saturation: {most} of the outputs of the hidden layers have a slope below "
            f"{SATURATED_SLOPE}.{_steepest(record)}"
        )
    else:
        sentence = (
            f"Saturation adds to it: {percent(shares[layer])} of the outputs of {layer} have a "
            f"slope below {SATURATED_SLOPE}."
        )
    return Evidence(sentence, "activity")


def _steepest(record: Record) -> str:
    """How the slopes compare with the greatest slopes that the activation functions have, or ""."""
    means = early_slopes(record.by_layer("slope"), EARLY_STEPS)
    greatest = {name: record.greatest_slopes.get(name, 0.0) for name in means}
    if not means or not all(greatest.values()):
        return ""
    nowhere = " or ".join(f"{slope:.2f}" for slope in sorted(set(greatest.values())))
    layer = min(means, key=lambda name: means[name] / greatest[name])
    if means[layer] >= NEARLY_STEEPEST * greatest[layer]:
        return (
            f" On the contrary, the slopes are nearly as large as they can be: this activation is "
            f"nowhere steeper than {nowhere}. Even this slope in all {len(means)} layers would "
            f"reduce a gradient to {fraction(math.prod(greatest.values()))}."
        )
    return (
        f" But the activation can be steeper: its slope is up to {nowhere}, and at the outputs of "
        f"{layer} it is {means[layer]:.2f}."
    )


def first_layer_movement(record: Record) -> Evidence | None:
    """How far the first kernel could have moved at most, and how far it did move."""
    layers = list(record.by_layer("distance_moved"))
    moved = movement(record, layers[0]) if layers else None
    if moved is None:
        return None
    hardly = "hardly moved: by" if moved.relative < HARDLY_MOVED else "moved by"
    if not moved.distance:
        sentence = f"The kernel of {moved.layer} did not move at all in {record.step:,} steps."
        return Evidence(sentence, "distance_moved")
    possible = _possible(record, moved)
    subject = f"{possible} It" if possible else f"The kernel of {moved.layer}"
    sentence = (
        f"{subject} {hardly} {number(moved.distance)}, which is "
        f"{percent_of_size(moved.relative)} of its size at the start ({number(moved.size)})."
    )
    last = movement(record, layers[-1])
    if last is not None and last.relative > moved.relative:
        sentence += f" {last.layer} moved by {percent_of_size(last.relative)} of its size."
    return Evidence(sentence, "distance_moved")


def hope(record: Record) -> Evidence | None:
    """Whether the gradient at the first layer grows, so that training longer may help."""
    norms = record.by_layer("gradient_norm")
    layer = next(iter(norms), "")
    change = growth(norms[layer]) if layer else None
    if change is None:
        return None
    before, after = change
    numbers = (
        f"{number(before)} in the first half of the steps, {number(after)} in the last quarter "
        "(geometric means)"
    )
    if after >= GROWING * before:
        sentence = (
            f"There is hope: the gradient norm at {layer} grows, {numbers}. Training longer may "
            "be enough."
        )
    elif after <= SHRINKING * before:
        sentence = (
            f"The gradient norm at {layer} shrinks: {numbers}. Training longer will hardly help."
        )
    else:
        sentence = (
            f"The gradient norm at {layer} does not grow: {numbers}. Training longer with the same "
            "options will hardly help."
        )
    return Evidence(sentence, "gradients")


def grows(record: Record) -> bool:
    """Whether the gradient at the first layer grows."""
    norms = record.by_layer("gradient_norm")
    change = growth(next(iter(norms.values()))) if norms else None
    return change is not None and change[1] >= GROWING * change[0]


def dead_share(record: Record) -> tuple[float, str]:
    """The highest share of dead units of a hidden layer at the last inspection, and the layer."""
    return highest_hidden(record.by_layer("dead_fraction"))


def units(record: Record, layer: str, share: float) -> str:
    """A share of the units of a layer, e.g. "26 of 120 units of fc1"."""
    if count := record.units.get(layer):
        return f"{round(share * count):,} of {count:,} units of {layer}"
    return f"{percent(share)} of the units of {layer}"


def _possible(record: Record, moved: Movement) -> str:
    """How far a kernel would have moved if all updates had the same direction, or "" if unknown."""
    norm = mean_norm(record.by_layer("gradient_norm")[moved.layer])
    product = norm * record.learning_rate * record.reach * record.step
    start = f"The kernel of {moved.layer}"
    if not record.reach or not record.constant_rate or not moved.distance <= product:
        if moved.distance > moved.path:  # The updates at the inspections were untypically small.
            return ""
        return (
            f"{start} could have moved by at most about {number(moved.path)} in {record.step:,} "
            "steps."
        )
    times = f"times {number(record.reach)} for the momentum " if record.reach > 1 else ""
    return (
        f"{start} could have moved by at most about {number(product)}: mean gradient norm "
        f"{number(norm)} times learning rate {record.learning_rate:g} {times}times "
        f"{record.step:,} steps."
    )
