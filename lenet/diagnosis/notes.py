"""Rules about what happens inside a network, beside its result: any number of them apply.

Each function returns a finding, or None. `rules.RULES` lists them with their conditions in words.
"""

from __future__ import annotations

import math

import numpy as np

from lenet.diagnosis.advice import (
    clipping,
    given,
    smaller_rate,
    steeper_activation,
    unusual_rate,
    usual_init,
)
from lenet.diagnosis.evidence import EARLY_STEPS, NEARLY_ALL, dead_share, gathered, units, vanishes
from lenet.diagnosis.guessing import beginning, has_learned, is_blocked
from lenet.diagnosis.measures import early_gradients, highest_hidden
from lenet.diagnosis.progress import largest_update
from lenet.diagnosis.record import Advice, Finding, Record
from lenet.diagnosis.results import (
    LEARNED,
    RISEN,
    against_overfitting,
    overfits,
    slow,
)
from lenet.diagnosis.small_data import FITTED
from lenet.diagnosis.words import fraction, loss_text, number, percent
from lenet.diagnostics import SATURATED_SLOPE
from lenet.option_checks import join

EXPLODING_NORM = 100.0
DEAD, TOO_MANY_DEAD = 0.1, 0.3  # Shares of the units of a layer.
SATURATED, FLAT = 0.5, 0.1  # A share of the outputs of a layer; a mean slope.
DIVIDES = (
    "its optimizer divides each update by the size of the recent gradients, so a small gradient "
    "does not make the updates small."
)
UNFINISHED = {
    "running": "is still running",
    "interrupted": "was interrupted",
    "stopped": "was stopped",
}


def unfinished(record: Record) -> Finding | None:
    """The run has not reached its end."""
    if record.state not in UNFINISHED:
        return None
    sentence = (
        f"The run {UNFINISHED[record.state]} after {record.step:,} steps "
        f"({record.epochs(record.step)}). The other sentences describe it up to there."
    )
    going = record.state == "running"
    return Finding(sentence, "curves", not going, advice=() if going else (Advice("Continue it"),))


def exploding(record: Record) -> Finding | None:
    """The gradient of a layer is very large."""
    largest = {
        name: (float(finite.max()), int(steps[finite.argmax()]))
        for name, (steps, norms) in record.by_layer("gradient_norm").items()
        if len(finite := np.where(np.isfinite(norms), norms, np.inf))
    }
    name = max(largest, key=lambda name: largest[name][0], default="")
    if not name or largest[name][0] < EXPLODING_NORM:
        return None
    norm, step = largest[name]
    size = f"is {norm:,.0f}" if math.isfinite(norm) else "is not a finite number"
    sentence = f"Exploding gradients: at step {step:,}, the gradient norm at {name} {size}."
    why = gathered(largest_update(record))
    tips = given(usual_init(record), clipping(record), smaller_rate(record))
    return Finding(sentence, "gradients", True, why, tips)


def vanishing(record: Record) -> Finding | None:
    """The gradient at the first layer is small early in training, and the network learns."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early is None or not vanishes(record) or not has_learned(record):
        return None
    result = beginning(record) or (None if overfits(record) else slow(record))
    if result and any(step.plot == "gradients" for step in result.evidence):
        return None  # Then it is part of that explanation.
    when = f"during the first {early.until:,} steps" if early.until else "before training"
    size = f"{fraction(early.ratio)} of that at {early.last}" if early.ratio > 1e-9 else "zero"
    sentence = (
        f"Vanishing gradients: {when}, the gradient norm at {early.first} is {size}. The network "
        "learns nevertheless"
    )
    sentence += "." if record.reach else f": {DIVIDES}"
    return Finding(sentence, "gradients")


def dead(record: Record) -> Finding | None:
    """Units have the same output for every image."""
    share, _ = dead_share(record)
    if share < DEAD or record.state == "diverged" or is_blocked(record):
        return None
    sentence = (
        f"Dead units: {join(_dead_by_layer(record))} have the same output for every probe image, so "
        f"they tell nothing about an image."
    )
    if share < TOO_MANY_DEAD and has_learned(record) and record.last_train_accuracy >= LEARNED:
        sentence += " The other units are enough."
    tips = given(
        smaller_rate(record) if record.learning_rate > record.usual_rate else None,
        _without_flat_part(record),
        smaller_rate(record),
    )
    if tip := unusual_rate(record) or usual_init(record):
        tips = (tip,)
    return Finding(sentence, "activity", share >= TOO_MANY_DEAD, advice=tips)


def saturated(record: Record) -> Finding | None:
    """The activation of a layer is flat at most of its outputs."""
    share, name = highest_hidden(record.by_layer("saturated_fraction"))
    _, slopes = record.by_layer("slope").get(name, (None, np.zeros(0)))
    flat = share >= SATURATED and len(slopes) > 0 and slopes[-1] < FLAT
    if not flat or record.state == "diverged" or dead_share(record)[0] >= NEARLY_ALL:
        return None  # That a whole layer is dead says more.
    sentence = (
        f"Saturation: the slope of the activation is below {SATURATED_SLOPE} at {percent(share)} of "
        f"the outputs of {name}, and its root mean square there is {number(float(slopes[-1]))}. "
        "Hardly any gradient passes."
    )
    tips = given(unusual_rate(record) or steeper_activation(record))
    return Finding(sentence, "activity", True, advice=tips)


def rising_loss(record: Record) -> Finding | None:
    """The test loss rises, and the accuracy does not show it yet."""
    steps, losses = record.kept(record.test_loss)
    train, test = record.last_train_accuracy, record.last_test_accuracy
    if not has_learned(record) or len(losses) < 3 or not test < train or overfits(record):
        return None
    best = int(np.argmin(losses))
    lowest, last = float(losses[best]), record.last_test_loss
    if last <= RISEN * lowest:
        return None
    sentence = (
        f"The test loss rose from {loss_text(lowest)} (after {record.epochs(steps[best])}) to "
        f"{loss_text(last)}, while the training loss is {loss_text(record.last_train_loss)}"
        f"{': the network begins to overfit' if train >= FITTED else ''}."
    )
    return Finding(sentence, "curves", True, advice=against_overfitting(record))


def _dead_by_layer(record: Record) -> list[str]:
    """The dead units of each hidden layer that has some, and of how many before training."""
    found = []
    for layer, (steps, values) in list(record.by_layer("dead_fraction").items())[:-1]:
        if not len(values) or not values[-1] > 0:
            continue
        text = units(record, layer, float(values[-1]))
        if not steps[0] and layer in record.units:
            before = round(float(values[0]) * record.units[layer])
            text += f" (before training: {before or 'none'})"
        found.append(text)
    return found


def _without_flat_part(record: Record) -> Advice | None:
    if record.activation == "leaky_relu":
        return None
    words = "Try leaky_relu, whose slope is nowhere 0"
    return Advice(words, {"activation": "leaky_relu"})
