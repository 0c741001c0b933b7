"""Rules about the result of a run: exactly one of them describes it.

Each function returns a finding, or None. `rules.RULES` lists them in the order in which they are
asked, with the condition in words.
"""

from __future__ import annotations

import math

from lenet import registry
from lenet.diagnosis.advice import (
    adaptive_optimizer,
    early_stopping,
    given,
    larger_rate,
    momentum,
    more_epochs,
    smaller_rate,
    steeper_activation,
    unusual_rate,
    usual_init,
)
from lenet.diagnosis.evidence import (
    EARLY_STEPS,
    VANISHING_RATIO,
    dropout_gap,
    first_layer_movement,
    gathered,
    gradient_by_depth,
    grows,
    highest_loss,
    hope,
    largest_update,
    last_gain,
    no_gradient,
    slopes_explain,
    small_updates,
    vanishes,
    why_stuck,
)
from lenet.diagnosis.measures import early_gradients, guesses, last_rise, late_fall, left_guessing
from lenet.diagnosis.record import Advice, Finding, Record
from lenet.diagnosis.small_data import FITTED
from lenet.diagnosis.words import fraction, loss_text, number, percent, wilson_interval

NOT_BEGUN = 0.98  # A share of the loss of guessing.
HARDLY_BETTER = 0.1  # A share of the way from guessing to perfect accuracy.
WORSE_THAN_GUESSING = 1.1  # A multiple of the loss of guessing.
GAP = 0.05  # A difference in accuracy.
RISEN = 1.25  # A multiple of the lowest test loss.
DECAY = registry.OPTIMIZERS["adamw"].get("weight_decay", 0.0)
STILL_FALLING, LEARNED = 0.05, 0.9
STILL_RISING = 0.02  # A difference in accuracy.
BEGAN_LATE, STILL_NEAR = 0.5, 0.5  # Shares of the steps and of the loss of guessing.
HALFWAY = 0.5  # A share of the way from guessing to perfect accuracy.


def failed(record: Record) -> Finding | None:
    """The run ended with an error."""
    if record.state != "failed":
        return None
    reason = record.error or "the reason is not known."
    sentence = f"The run failed after {record.step:,} steps: {reason}"
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
    why = gathered(highest_loss(record), largest_update(record))
    return Finding(sentence, "curves", True, why, (smaller_rate(record),))


def not_begun(record: Record) -> Finding | None:
    """The network still guesses, and its loss is near that of guessing."""
    if not is_stuck(record) or _is_thrown_off(record):
        return None
    sentence = (
        f"The network has not begun to learn: after {record.epochs(record.end)}, its test loss is "
        f"{loss_text(record.last_test_loss)} (guessing: ln {record.num_classes} = "
        f"{loss_text(math.log(record.num_classes))}) and its test accuracy is "
        f"{record.test_accuracy_in_words}.{_only_answer(record)}"
    )
    verdict = "has not begun to learn (vanishing gradients)" if vanishes(record) else ""
    tips = _against_being_stuck(record)
    return Finding(sentence, "curves", True, why_stuck(record), tips, verdict=verdict)


def _against_being_stuck(record: Record) -> tuple[Advice, ...]:
    if tip := unusual_rate(record):  # Before that, nothing else can be judged.
        return (tip,)
    if no_gradient(record):
        return given(usual_init(record), smaller_rate(record))
    rate = smaller_rate(record) if _moves_far(record) else larger_rate(record)
    return given(
        more_epochs(record) if grows(record) else None,
        steeper_activation(record) if slopes_explain(record) and not record.reach else None,
        None if slopes_explain(record) else usual_init(record),
        adaptive_optimizer(record),
        steeper_activation(record) if slopes_explain(record) else None,
        usual_init(record) or rate,
    )


def thrown_off(record: Record) -> Finding | None:
    """The network guesses, with a loss far above that of guessing."""
    if not is_stuck(record) or not _is_thrown_off(record):
        return None
    sentence = (
        f"The loss is worse than that of guessing: the test loss is "
        f"{loss_text(record.last_test_loss)}, above ln {record.num_classes} = {loss_text(math.log(record.num_classes))} (accuracy "
        f"{record.test_accuracy_in_words}). The updates were too large.{_only_answer(record)}"
    )
    why = gathered(highest_loss(record), largest_update(record))
    return Finding(sentence, "curves", True, why, (smaller_rate(record),))


def overfits(record: Record) -> Finding | None:
    """The network has fitted its training images, and recognizes them better than test images."""
    if not has_learned(record):
        return None
    train, test = record.last_train_accuracy, record.last_test_accuracy
    by_chance = record.test_images and train <= wilson_interval(test, record.test_images)[1]
    if train < FITTED or train - test < GAP or by_chance:
        return None
    sentence = (
        f"Overfitting: the accuracy is {record.accuracy(train)} on the training batches of the last "
        f"epoch, and the test accuracy is {record.test_accuracy_in_words}, a gap of "
        f"{100 * (train - test):.1f} percentage points."
    )
    return Finding(sentence, "curves", True, advice=against_overfitting(record))


def stopped_early(record: Record) -> Finding | None:
    """Early stopping ended the run before the network fitted its training images."""
    if record.best_step is None or record.end == record.step or not _is_unfinished(record):
        return None
    sentence = (
        f"Early stopping ended the training after {record.epochs(record.step)}, because the "
        f"validation loss no longer fell. The weights after {record.epochs(record.end)} are kept: "
        f"their accuracy is {record.accuracy(record.last_train_accuracy)} on the training batches of "
        f"that epoch, and the test accuracy is {record.test_accuracy_in_words}."
    )
    return Finding(sentence, "curves", True, advice=against_overfitting(record))


def against_overfitting(record: Record) -> tuple[Advice, ...]:
    """What helps against overfitting; stopping early comes first if the test loss has risen."""
    has_risen = record.last_test_loss > RISEN * float(record.test_loss[1].min())
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


def beginning(record: Record) -> Finding | None:
    """The network left the level of guessing late in training, or is about to leave it."""
    began, begins = _late_beginning(record), _is_better_than_its_loss(record)
    if began is None and not begins:
        return None
    guess = f"ln {record.num_classes} = {loss_text(math.log(record.num_classes))}"
    loss, accuracy = loss_text(record.last_test_loss), record.test_accuracy_in_words
    if began is not None:
        sentence = (
            "The network is beginning to learn: its training loss was that of guessing until about "
            f"{record.epochs(began)} and fell below it then. After {record.epochs(record.end)}, "
            f"its test loss is {loss} (guessing: {guess}) and its test accuracy is {accuracy}."
        )
    else:
        sentence = (
            f"The network is beginning to learn: after {record.epochs(record.end)}, its test loss "
            f"of {loss} is still near that of guessing ({guess}), but its test accuracy of "
            f"{accuracy} is clearly better than the {percent(1 / record.num_classes)} of guessing."
        )
    why = gathered(
        dropout_gap(record),
        gradient_by_depth(record) if vanishes(record) else None,
        first_layer_movement(record),
        hope(record) if grows(record) else None,
    )
    tips = given(
        more_epochs(record),
        adaptive_optimizer(record),
        steeper_activation(record) if vanishes(record) else None,
        larger_rate(record),
    )
    return Finding(sentence, "curves", True, why, tips)


def slow(record: Record) -> Finding | None:
    """The network has learned, does not fit its training images yet, and still improves."""
    fall = late_fall(record.train_loss) if _is_unfinished(record) else None
    if fall is None or (fall < STILL_FALLING and last_rise(record) < STILL_RISING):
        return None
    still = "it was still rising at the end"
    if fall >= STILL_FALLING:
        still = (
            f"its training loss was still falling at the end (by {percent(fall)} from the third "
            "quarter of the steps to the last eighth)"
        )
    sentence = (
        "The network learns, but slowly: its test accuracy is "
        f"{record.test_accuracy_in_words} after {record.epochs(record.end)}, and {still}."
    )
    tips = given(
        unusual_rate(record),
        momentum(record),
        more_epochs(record),
        larger_rate(record),
    )
    return Finding(
        sentence,
        "curves",
        True,
        gathered(last_gain(record), dropout_gap(record), small_updates(record)),
        tips,
    )


def stalled(record: Record) -> Finding | None:
    """The network has learned something, and no longer improves."""
    fall = late_fall(record.train_loss) if _is_unfinished(record) else None
    if fall is None or fall >= STILL_FALLING or last_rise(record) >= STILL_RISING:
        return None
    if record.last_train_accuracy >= LEARNED:
        return None
    change = f"fell by only {percent(fall)}" if fall > 0 else f"rose by {percent(-fall)}"
    sentence = (
        "Learning has stalled: the test accuracy is "
        f"{record.test_accuracy_in_words} after {record.epochs(record.end)}, and the "
        f"training loss {change} from the third quarter of the steps to the last eighth."
    )
    large = largest_update(record)
    tips = given(
        unusual_rate(record),
        smaller_rate(record) if large else None,
        adaptive_optimizer(record),
        steeper_activation(record) if vanishes(record) else None,
        smaller_rate(record),
    )
    why = gathered(last_gain(record), dropout_gap(record), large or small_updates(record))
    return Finding(sentence, "curves", True, why, tips)


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
            ", and its accuracy on the training batches of the last epoch is "
            f"{record.accuracy(train)}"
        )
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early and early.ratio > VANISHING_RATIO:
        ratio = early.ratio
        size = "about as large as" if ratio < 3 / 2 else f"{number(ratio)} times"
        size = f"{fraction(ratio)} of" if ratio <= 2 / 3 else size
        sentence += (
            f". Early in training, the gradient norm at {early.first} is {size} that at "
            f"{early.last}"
        )
    return Finding(f"{sentence}.", "curves")


def has_not_begun(loss: float, num_classes: int) -> bool:
    """Whether a loss is no better than guessing.

    A network that assigns the same probability to each of n classes has a loss of ln n nats.
    """
    return loss >= NOT_BEGUN * math.log(num_classes)


def is_guessing(loss: float, accuracy: float, num_classes: int) -> bool:
    """Whether a network guesses, by its loss and its accuracy on images that it has not seen."""
    return guesses(loss, accuracy, num_classes, NOT_BEGUN, HARDLY_BETTER)


def is_stuck(record: Record) -> bool:
    """Whether the network guesses: by its test loss, and by its accuracies or training loss.

    A network that has learned only its training images does not guess.
    """
    if record.state == "diverged":
        return False
    loss, classes = record.last_test_loss, record.num_classes
    learns = record.last_train_accuracy >= 1 / classes + HARDLY_BETTER * (1 - 1 / classes)
    return (is_guessing(loss, record.last_test_accuracy, classes) and not learns) or (
        has_not_begun(loss, classes)
        and has_not_begun(record.last_train_loss, classes)
        and (_is_thrown_off(record) or not _is_clearly_better(record))
    )


def _is_better_than_its_loss(record: Record) -> bool:
    """Whether the loss is near that of guessing, and the accuracy is clearly better."""
    if record.state == "diverged" or not _is_clearly_better(record):
        return False
    relative = record.last_test_loss / math.log(record.num_classes)
    return NOT_BEGUN <= relative <= WORSE_THAN_GUESSING


def _is_clearly_better(record: Record) -> bool:
    """Whether the test accuracy is clearly better than guessing.

    Clearly: by more than three standard deviations of the accuracy of guessing on so many images,
    and not by always giving the answer of a frequent class.
    """
    guess, images = 1 / record.num_classes, record.test_images
    if not images or record.only_answer:
        return False
    threshold = guess + HARDLY_BETTER * (1 - guess) + 3 * math.sqrt(guess * (1 - guess) / images)
    return record.last_test_accuracy > threshold


def is_blocked(record: Record) -> bool:
    """Whether the network is stuck because no gradient is left; its explanation says why."""
    return is_stuck(record) and not _is_thrown_off(record) and no_gradient(record) is not None


def has_learned(record: Record) -> bool:
    """Whether the network has learned something, and training accuracies were logged."""
    return (
        record.state != "diverged"
        and not is_stuck(record)
        and math.isfinite(record.last_train_accuracy)
    )


def _is_unfinished(record: Record) -> bool:
    """Whether the network has begun to learn and does not yet fit its training images."""
    return has_learned(record) and record.last_train_accuracy < FITTED


def _late_beginning(record: Record) -> int | None:
    """The step until which the training loss was that of guessing, if that was late in training."""
    guessing = math.log(record.num_classes)
    if not _is_unfinished(record) or record.last_test_loss < STILL_NEAR * guessing:
        return None
    guess = 1 / record.num_classes
    if record.last_test_accuracy >= guess + HALFWAY * (1 - guess):
        return None
    began = left_guessing(record.train_loss, NOT_BEGUN * guessing, WORSE_THAN_GUESSING * guessing)
    return began if began is not None and began >= BEGAN_LATE * record.step else None


def _is_thrown_off(record: Record) -> bool:
    """Whether the test loss is clearly above that of guessing and above its own initial value."""
    start = max(math.log(record.num_classes), float(record.test_loss[1][0]))
    return record.last_test_loss > WORSE_THAN_GUESSING * start


def _moves_far(record: Record) -> bool:
    """Whether single updates are large compared with the kernels."""
    return largest_update(record) is not None


def _only_answer(record: Record) -> str:
    if not record.only_answer:
        return ""
    return f' It gives the same answer, "{record.only_answer}", for every test image.'
