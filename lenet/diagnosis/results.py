"""Rules about the result of a run: exactly one of them, or of those in `guessing`, describes it.

Each function returns a finding, or None. `rules.RULES` lists them in the order in which they are
asked, with the condition in words.
"""

from __future__ import annotations

import math

from lenet import registry
from lenet.diagnosis.advice import (
    adaptive_optimizer,
    early_stopping,
    ended_by_early_stopping,
    given,
    larger_rate,
    momentum,
    more_epochs,
    more_patience,
    smaller_rate,
    steeper_activation,
    unusual_rate,
)
from lenet.diagnosis.evidence import (
    EARLY_STEPS,
    VANISHING_RATIO,
    gathered,
    gradient_by_depth,
    vanishes,
)
from lenet.diagnosis.guessing import has_learned, is_unfinished, late_start
from lenet.diagnosis.measures import early_gradients, last_rise, late_fall
from lenet.diagnosis.progress import (
    cancelling_updates,
    dropout_gap,
    far_off_rate,
    highest_loss,
    largest_update,
    last_gain,
    small_updates,
)
from lenet.diagnosis.record import Advice, Evidence, Finding, Record
from lenet.diagnosis.small_data import FITTED
from lenet.diagnosis.words import compared, percent, wilson_interval

GAP, LARGE_GAP = 0.05, 0.15  # Differences in accuracy.
RISEN = 1.25  # A multiple of the lowest test loss.
DECAY = registry.OPTIMIZERS["adamw"].get("weight_decay", 0.0)
STILL_FALLING, LEARNED = 0.05, 0.9
STILL_RISING = 0.02  # A difference in accuracy.


def failed(record: Record) -> Finding | None:
    """The run ended with an error."""
    if record.state != "failed":
        return None
    reason = (record.error or "the reason is not known").rstrip(".")
    sentence = f"The run failed after {record.step:,} steps: {reason}."
    return Finding(sentence, "curves", True, advice=(Advice("Continue it"),))


def unmeasured(record: Record) -> Finding | None:
    """Nothing was measured after the first step."""
    if record.state == "diverged" or (record.test_loss[0] > 0).any():
        return None
    return Finding("There is no evaluation after the first step.", "curves")


def diverged(record: Record) -> Finding | None:
    """The loss is no longer a finite number."""
    if record.state != "diverged":
        return None
    sentence = (
        f"The loss was no longer a finite number at step {record.step:,}: the updates were too "
        f"large, and the weights diverged (learning rate {record.learning_rate:g})."
    )
    why = gathered(far_off_rate(record), highest_loss(record), largest_update(record))
    return Finding(sentence, "curves", True, why, (smaller_rate(record),))


def overfits(record: Record) -> Finding | None:
    """The network recognizes its training images clearly better than test images."""
    if not has_learned(record):
        return None
    train, test = record.last_train_accuracy, record.last_test_accuracy
    by_chance = record.test_images and train <= wilson_interval(test, record.test_images)[1]
    if train - test < (GAP if train >= FITTED else LARGE_GAP) or by_chance:
        return None
    sentence = (
        f"Overfitting: the accuracy is {record.accuracy(train)} on the training batches of "
        f"{record.which_epoch}, and the test accuracy is {record.test_accuracy_in_words}, a gap of "
        f"{100 * (train - test):.1f} percentage points."
    )
    return Finding(sentence, "curves", True, advice=against_overfitting(record))


def stopped_early(record: Record) -> Finding | None:
    """Early stopping ended the run before the network fitted its training images."""
    if not ended_by_early_stopping(record) or not is_unfinished(record):
        return None
    sentence = (
        f"Early stopping ended the training after {record.epochs(record.step)}, because the "
        f"validation loss no longer fell. The weights after {record.epochs(record.end)} are kept: "
        f"their accuracy is {record.accuracy(record.last_train_accuracy)} on the training batches of "
        f"that epoch, and the test accuracy is {record.test_accuracy_in_words}."
    )
    # A network that recognizes test images as well as training images does not overfit.
    well = record.last_train_accuracy - record.last_test_accuracy < GAP
    tips = given(more_patience(record)) if well else against_overfitting(record)
    return Finding(sentence, "curves", True, gathered(dropout_gap(record)), tips)


def against_overfitting(record: Record) -> tuple[Advice, ...]:
    """What helps against overfitting; stopping early comes first if the test loss has risen."""
    lowest = float(record.kept(record.test_loss)[1].min())
    has_risen = record.last_test_loss > RISEN * lowest
    stop = early_stopping(record)
    return given(
        stop if has_risen else None,
        None if record.dropout else Advice("Try dropout", {"fc_dropout": 0.5}),
        None
        if record.augmented
        else Advice("Try augmentation", {"augment": ("shift", "rotate", "zoom")}),
        None if has_risen else stop,
        None if record.weight_decay else Advice("Try weight decay", {"weight_decay": DECAY}),
    )


def slow(record: Record) -> Finding | None:
    """The network has learned, does not fit its training images yet, and still improves."""
    fall = late_fall(record.train_loss) if is_unfinished(record) else None
    if fall is None or (fall < STILL_FALLING and last_rise(record) < STILL_RISING):
        return None
    still = "its test accuracy was still rising at the end"
    if fall >= STILL_FALLING:
        still = (
            f"its training loss was still falling at the end (by {percent(fall)} from the third "
            "quarter of the steps to the last eighth)"
        )
    sentence = (
        "The network learns, but slowly: its test accuracy is "
        f"{record.test_accuracy_in_words} after {record.epochs(record.end)}{last_gain(record)}, its "
        f"accuracy on the training batches of {record.which_epoch} is "
        f"{record.accuracy(record.last_train_accuracy)}, and {still}."
    )
    tips = given(
        larger_rate(record) if record.learning_rate < record.usual_rate / 10 else None,
        momentum(record),
        more_epochs(record),
        larger_rate(record) if record.learning_rate <= record.usual_rate else None,
    )
    return Finding(
        sentence,
        "curves",
        True,
        why_slow(record),
        tips,
    )


def why_slow(record: Record) -> tuple[Evidence, ...]:
    """Why a network that learns needs many steps."""
    late = late_start(record)
    return gathered(
        late,
        gradient_by_depth(record) if late and vanishes(record) else None,
        dropout_gap(record),
        small_updates(record) or cancelling_updates(record),
    )


def stalled(record: Record) -> Finding | None:
    """The network has learned something, and no longer improves."""
    fall = late_fall(record.train_loss) if is_unfinished(record) else None
    if fall is None or fall >= STILL_FALLING or last_rise(record) >= STILL_RISING:
        return None
    if record.last_train_accuracy >= LEARNED:
        return None
    change = f"fell by only {percent(fall)}" if fall > 0 else f"rose by {percent(-fall)}"
    sentence = (
        "Learning has stalled: the test accuracy is "
        f"{record.test_accuracy_in_words} after {record.epochs(record.end)}{last_gain(record)}, and "
        f"the training loss {change} from the third quarter of the steps to the last eighth."
    )
    large = largest_update(record)
    tips = given(
        unusual_rate(record),
        smaller_rate(record) if large else None,
        adaptive_optimizer(record),
        steeper_activation(record) if vanishes(record) else None,
        smaller_rate(record),
    )
    why = gathered(dropout_gap(record), large or small_updates(record))
    return Finding(sentence, "curves", True, why, tips)


def unclear(record: Record) -> Finding | None:
    """The network does not fit its training images, and there are too few losses to say why."""
    train, test = record.last_train_accuracy, record.last_test_accuracy
    if record.state == "diverged" or late_fall(record.train_loss) is not None:
        return None
    if (train if math.isfinite(train) else test) >= LEARNED:
        return None
    sentence = (
        f"The test accuracy is {record.test_accuracy_in_words} after {record.epochs(record.end)}. "
        "The logged training losses do not cover enough of the steps to tell whether the network "
        "still improves."
    )
    return Finding(sentence, "curves")


def healthy(record: Record) -> Finding | None:
    """Nothing else applies."""
    if record.state == "diverged":
        return None
    sentence = (
        "The network learns well: its test accuracy is "
        f"{record.test_accuracy_in_words} after {record.epochs(record.end)}"
    )
    train = record.last_train_accuracy
    if math.isfinite(train):
        sentence += (
            f", and its accuracy on the training batches of {record.which_epoch} is "
            f"{record.accuracy(train)}"
        )
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early and early.ratio > VANISHING_RATIO:
        sentence += (
            f". Early in training, the gradient norm at {early.first} is {compared(early.ratio)} "
            f"that at {early.last}"
        )
    if gap := dropout_gap(record):
        sentence += f". {gap.sentence.rstrip('.')}"
    return Finding(f"{sentence}.", "curves")
