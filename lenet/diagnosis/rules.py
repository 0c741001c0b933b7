"""The rules of the diagnosis: plain functions that find something in a run's record, or nothing.

A new rule needs a function and an entry in RULES. The entry contains the rule's question, written
with the same constants that the function compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lenet.diagnosis.advice import larger_rate, livelier, smaller_rate
from lenet.diagnosis.measures import early_gradients, highest_hidden, late_fall
from lenet.diagnosis.record import Finding, Record
from lenet.diagnostics import SATURATED_SLOPE

NOT_BEGUN = 0.98  # A share of the loss of guessing.
HARDLY_BETTER = 0.1  # A share of the way from guessing to perfect accuracy.
WORSE_THAN_GUESSING = 1.1  # A multiple of the loss of guessing.
EXPLODING_NORM = 100.0
EARLY_STEPS, VANISHING_RATIO = 600, 1 / 20
DEAD, TOO_MANY_DEAD = 0.1, 0.3  # Shares of the units of a layer.
SATURATED, SATURATING = 0.5, ("sigmoid", "tanh")
GAP, RISEN = 0.05, 1.25  # A difference in accuracy; a multiple of the lowest test loss.
FITTED, STILL_FALLING, LEARNED = 0.95, 0.05, 0.9


class Rule(NamedTuple):
    """One rule.

    Attributes:
        verdict: what it finds, in two or three words.
        question: the condition under which it finds something, in words.
        find: returns a finding, without `rule` and `verdict`, or None.
        announced: whether `lenet.train` prints the finding at the end of a run.
        is_final: whether no further rule is applied if this one finds something.
        if_nothing_wrong: whether it counts only if no earlier rule finds something wrong.
    """

    verdict: str
    question: str
    find: Callable[[Record], Finding | None]
    announced: bool = False
    is_final: bool = False
    if_nothing_wrong: bool = False


def has_not_begun(loss: float, num_classes: int) -> bool:
    """Whether a loss is no better than guessing.

    A network that assigns the same probability to each of n classes has a loss of ln n nats.
    """
    return loss >= NOT_BEGUN * math.log(num_classes)


def percent(share: float) -> str:
    """A share from 0 to 1 with at most one decimal, e.g. "31 %" or "98.7 %"."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _failed(record: Record) -> Finding | None:
    if record.state != "failed":
        return None
    reason = record.error or "the reason is not known."
    sentence = f"The run failed after {record.step:,} steps: {reason}"
    return Finding(sentence, "curves", True, "Resume it")


def _unmeasured(record: Record) -> Finding | None:
    if record.state == "diverged" or (record.test_loss[0] > 0).any():
        return None
    return Finding("There is no evaluation after the first step.", "curves")


def _diverged(record: Record) -> Finding | None:
    if record.state != "diverged":
        return None
    sentence = (
        f"The loss was no longer a finite number at step {record.step:,}: the updates were too "
        f"large, and the weights diverged (learning rate {record.learning_rate:g})."
    )
    return Finding(sentence, "curves", True, *smaller_rate(record))


def _not_begun(record: Record) -> Finding | None:
    if record.state == "diverged" or not _guesses(record) or _is_thrown_off(record):
        return None
    loss, chance = record.last_test_loss, math.log(record.num_classes)
    sentence = (
        f"The network has not begun to learn: its test loss of {loss:.4f} is no better than the "
        f"loss of guessing (ln {record.num_classes} = {chance:.4f}), and its test accuracy is "
        f"{percent(record.last_test_accuracy)}."
    )
    return Finding(sentence, "curves", True, *livelier(record))


def _thrown_off(record: Record) -> Finding | None:
    if record.state == "diverged" or not _guesses(record) or not _is_thrown_off(record):
        return None
    sentence = (
        f"The network is worse than guessing: its test loss is {record.last_test_loss:.3g}, above "
        f"ln {record.num_classes} = {math.log(record.num_classes):.3f} (accuracy "
        f"{percent(record.last_test_accuracy)}). The updates were too large."
    )
    return Finding(sentence, "curves", True, *smaller_rate(record))


def _exploding(record: Record) -> Finding | None:
    largest = {
        name: float(np.where(np.isfinite(norms), norms, np.inf).max())
        for name, (_, norms) in record.by_layer("gradient_norm").items()
    }
    name = max(largest, key=lambda name: largest[name], default="")
    if not name or largest[name] < EXPLODING_NORM:
        return None
    norm = largest[name]
    size = f"reaches {norm:,.0f}" if math.isfinite(norm) else "is no longer a finite number"
    sentence = f"Exploding gradients: the gradient norm at {name} {size}."
    return Finding(sentence, "gradients", True, *smaller_rate(record))


def _vanishing(record: Record) -> Finding | None:
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early is None or early.ratio > VANISHING_RATIO:
        return None
    when = f"during the first {early.until:,} steps" if early.until else "before training"
    size = f"1/{1 / early.ratio:,.0f} of that at {early.last}" if early.ratio > 1e-9 else "zero"
    sentence = f"Vanishing gradients: {when}, the gradient norm at {early.first} is {size}."
    if not _guesses(record):
        return Finding(f"{sentence} The network learns anyway.", "gradients")
    return Finding(
        sentence,
        "gradients",
        True,
        *livelier(record, other_activation=record.activation in SATURATING),
    )


def _dead(record: Record) -> Finding | None:
    share, name = highest_hidden(record.by_layer("dead_fraction"))
    if share < DEAD:
        return None
    sentence = (
        f"{percent(share)} of the units of {name} are dead. Their output is the same for every "
        "image."
    )
    if share < TOO_MANY_DEAD:
        return Finding(f"{sentence} The other units are enough.", "activity")
    if record.activation != "relu":
        return Finding(sentence, "activity", True, *smaller_rate(record))
    advice = "Try an activation without a flat part"
    return Finding(sentence, "activity", True, advice, {"activation": "leaky_relu"})


def _saturated(record: Record) -> Finding | None:
    share, name = highest_hidden(record.by_layer("saturated_fraction"))
    if record.activation not in SATURATING or share < SATURATED:
        return None
    sentence = (
        f"{percent(share)} of the outputs of {name} are saturated. There, {record.activation} is "
        "flat and lets hardly any gradient through."
    )
    advice = "Try an activation that does not saturate for positive inputs"
    return Finding(sentence, "activity", True, advice, {"activation": "relu"})


def _overfitting(record: Record) -> Finding | None:
    if record.state == "diverged" or _guesses(record) or not len(record.train_accuracy[1]):
        return None
    train, test = record.last_train_accuracy, record.last_test_accuracy
    steps, losses = record.test_loss
    best = int(np.argmin(losses))
    lowest, last = float(losses[best]), float(losses[-1])
    if train - test >= GAP:
        sentence = (
            f"Overfitting: the accuracy is {percent(train)} on the training batches and "
            f"{percent(test)} on the test images."
        )
        if not record.dropout:
            return Finding(sentence, "curves", True, "Try dropout", {"fc_dropout": 0.5})
        if not record.augmented:
            augment = ("shift", "rotate", "zoom")
            return Finding(sentence, "curves", True, "Try augmentation", {"augment": augment})
        if record.optimizer != "adamw" and last <= RISEN * lowest:
            changes = {"optimizer": "adamw"}
            return Finding(sentence, "curves", True, "Try weight decay", changes)
    elif last > RISEN * lowest and train > test:
        sentence = (
            f"Overfitting: the test loss rose from {lowest:.3f} (after "
            f"{record.epochs(steps[best])}) to {last:.3f}, while training continued to improve."
        )
    else:
        return None
    advice = "Try stopping when the test loss is lowest"
    epochs = max(1, round(steps[best] / record.steps_per_epoch))
    return Finding(sentence, "curves", True, advice, {"epochs": epochs})


def _slow(record: Record) -> Finding | None:
    fall = late_fall(record.train_loss) if _is_unfinished(record) else None
    if fall is None or fall < STILL_FALLING:
        return None
    sentence = (
        "The network learns slowly: its test accuracy is "
        f"{percent(record.last_test_accuracy)} after {record.epochs(record.step)}, and its loss was "
        f"still falling at the end (by {percent(fall)} since the third quarter of the steps)."
    )
    if record.optimizer == "sgd":
        changes = {"optimizer": "momentum"}
        advice = "Try momentum, which accumulates small steps"
        return Finding(sentence, "curves", True, advice, changes)
    return Finding(sentence, "curves", True, *larger_rate(record))


def _stalled(record: Record) -> Finding | None:
    fall = late_fall(record.train_loss) if _is_unfinished(record) else None
    if fall is None or fall >= STILL_FALLING or record.last_train_accuracy >= LEARNED:
        return None
    sentence = (
        f"Learning has stalled: the test accuracy is {percent(record.last_test_accuracy)}, and the "
        "loss no longer falls."
    )
    return Finding(sentence, "curves", True, *livelier(record))


def _healthy(record: Record) -> Finding:
    sentence = (
        f"The network learns well: its test accuracy is {percent(record.last_test_accuracy)} after "
        f"{record.epochs(record.step)}"
    )
    train = record.last_train_accuracy
    if math.isfinite(train):
        sentence += (
            f", and its accuracy on the training batches of the last epoch is {percent(train)}"
        )
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early and early.ratio > VANISHING_RATIO:
        ratio = early.ratio
        size = "about as large as" if ratio < 3 / 2 else f"{ratio:.2g} times"
        size = f"1/{1 / ratio:.2g} of" if ratio <= 2 / 3 else size
        sentence += (
            f". Early in training, the gradient norm at {early.first} is {size} that at "
            f"{early.last}"
        )
    return Finding(f"{sentence}.", "curves")


RULES = {
    "failed": Rule("failed", "the run ended with an error", _failed, is_final=True),
    "unmeasured": Rule(
        "nothing measured",
        "the run has recorded no evaluation after its first step",
        _unmeasured,
        is_final=True,
    ),
    "diverged": Rule(
        "diverged", "the loss is no longer a finite number", _diverged, announced=True
    ),
    "not begun": Rule(
        "has not begun to learn",
        f"the test loss is at least {percent(NOT_BEGUN)} of ln C, the loss of guessing among C "
        "classes, and either the same holds for the training loss of the last epoch, or the test "
        f"accuracy is less than {percent(HARDLY_BETTER)} of the way from guessing to perfect",
        _not_begun,
        announced=True,
    ),
    "thrown off": Rule(
        "worse than guessing",
        f"the same conditions hold, and the test loss is more than {WORSE_THAN_GUESSING:g} times as "
        "large as both ln C and its initial value",
        _thrown_off,
        announced=True,
    ),
    "exploding": Rule(
        "exploding gradients",
        f"the gradient norm of a layer is {EXPLODING_NORM:g} or more at an inspection",
        _exploding,
    ),
    "vanishing": Rule(
        "vanishing gradients",
        f"over the inspections of the first {EARLY_STEPS} steps, the geometric mean of the first "
        f"layer's gradient norm is at most 1/{1 / VANISHING_RATIO:g} of the last layer's",
        _vanishing,
    ),
    "dead": Rule(
        "dead units",
        f"at the last inspection, {percent(DEAD)} or more of the units of a hidden layer are dead; "
        f"{percent(TOO_MANY_DEAD)} or more is a problem",
        _dead,
    ),
    "saturated": Rule(
        "saturation",
        f"with {' or '.join(SATURATING)}, at the last inspection, the slope of the activation is "
        f"below {SATURATED_SLOPE} at {percent(SATURATED)} or more of the outputs of a hidden layer",
        _saturated,
    ),
    "overfitting": Rule(
        "overfitting",
        "in the last epoch, the accuracy on the training batches is at least "
        f"{100 * GAP:g} percentage points above the accuracy on the test images, or the test loss "
        f"is more than {percent(RISEN - 1)} above its lowest value",
        _overfitting,
        announced=True,
    ),
    "slow": Rule(
        "slow learning",
        f"the training accuracy is below {percent(FITTED)}, and the loss fell by "
        f"{percent(STILL_FALLING)} or more from the third quarter of the steps to the last eighth",
        _slow,
    ),
    "stalled": Rule(
        "stalled",
        f"the training accuracy is below {percent(LEARNED)}, and the loss fell by less than "
        f"{percent(STILL_FALLING)} over the same steps",
        _stalled,
    ),
    "healthy": Rule(
        "learns well",
        "none of the other rules found anything wrong",
        _healthy,
        if_nothing_wrong=True,
    ),
}
"""Every rule by its name. The most important rules come first."""


def _guesses(record: Record) -> bool:
    """Whether the network guesses: by its test loss, and by its accuracy or training loss."""
    classes, guess = record.num_classes, 1 / record.num_classes
    return has_not_begun(record.last_test_loss, classes) and (
        record.last_test_accuracy < guess + HARDLY_BETTER * (1 - guess)
        or has_not_begun(record.last_train_loss, classes)
    )


def _is_unfinished(record: Record) -> bool:
    """Whether the network has begun to learn and does not yet fit its training images."""
    learns = record.state != "diverged" and not _guesses(record)
    return learns and record.last_train_accuracy < FITTED


def _is_thrown_off(record: Record) -> bool:
    """Whether the test loss is clearly above that of guessing and above its own initial value."""
    start = max(math.log(record.num_classes), float(record.test_loss[1][0]))
    return record.last_test_loss > WORSE_THAN_GUESSING * start
