"""Rules about a network that guesses, or that has only just stopped guessing.

Each function returns a finding, or None. `rules.RULES` lists the rules with their conditions in
words.
"""

from __future__ import annotations

import math

from lenet.diagnosis.advice import (
    adaptive_optimizer,
    given,
    larger_rate,
    more_epochs,
    more_patience,
    smaller_rate,
    steeper_activation,
    unusual_rate,
    usual_init,
)
from lenet.diagnosis.evidence import (
    first_layer_movement,
    gathered,
    gradient_by_depth,
    grows,
    hope,
    no_gradient,
    slopes_explain,
    vanishes,
    why_stuck,
)
from lenet.diagnosis.measures import guesses, left_guessing
from lenet.diagnosis.progress import dropout_gap, far_off_rate, highest_loss, largest_update
from lenet.diagnosis.record import Advice, Evidence, Finding, Record
from lenet.diagnosis.small_data import FITTED
from lenet.diagnosis.words import loss_text, percent

NOT_BEGUN = 0.98  # A share of the loss of guessing.
HARDLY_BETTER = 0.1  # A share of the way from guessing to perfect accuracy.
WORSE_THAN_GUESSING = 1.1  # A multiple of the loss of guessing.
BEGAN_LATE, STILL_NEAR = 0.5, 0.5  # Shares of the steps and of the loss of guessing.
HALFWAY = 0.5  # A share of the way from guessing to perfect accuracy.
LATE_START = 0.1  # A share of the steps.


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
    # A rate that is far off, or a layer without a gradient, would be the first cause.
    vanishing = vanishes(record) and not unusual_rate(record) and not no_gradient(record)
    verdict = "has not begun to learn (vanishing gradients)" if vanishing else ""
    tips = _against_being_stuck(record)
    return Finding(sentence, "curves", True, why_stuck(record), tips, verdict=verdict)


def _against_being_stuck(record: Record) -> tuple[Advice, ...]:
    if tip := unusual_rate(record):  # Before that, nothing else can be judged.
        return (tip,)
    if no_gradient(record):
        return given(usual_init(record), smaller_rate(record))
    rate = smaller_rate(record) if _moves_far(record) else larger_rate(record)
    return given(
        more_patience(record),
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
    why = gathered(far_off_rate(record), highest_loss(record), largest_update(record))
    return Finding(sentence, "curves", True, why, (smaller_rate(record),))


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
        far_off_rate(record),
        dropout_gap(record),
        gradient_by_depth(record) if vanishes(record) else None,
        first_layer_movement(record),
        hope(record) if grows(record) else None,
    )
    tips = given(
        more_patience(record) or more_epochs(record),
        adaptive_optimizer(record),
        steeper_activation(record) if vanishes(record) else None,
        larger_rate(record) if record.learning_rate <= record.usual_rate else None,
    )
    if tip := unusual_rate(record):
        tips = (tip,)
    return Finding(sentence, "curves", True, why, tips)


def late_start(record: Record) -> Evidence | None:
    """That a network guessed during many steps before it began to learn."""
    guessing = math.log(record.num_classes)
    began = left_guessing(record.train_loss, NOT_BEGUN * guessing, WORSE_THAN_GUESSING * guessing)
    if began is None or began < LATE_START * record.step:
        return None
    sentence = (
        f"The network began to learn late: until about step {began:,} of {record.step:,}, its "
        f"training loss was that of guessing."
    )
    return Evidence(sentence, "curves")


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


def is_unfinished(record: Record) -> bool:
    """Whether the network has begun to learn and does not yet fit its training images.

    Dropout makes training harder, so with dropout the test accuracy counts if it is higher.
    """
    train, test = record.last_train_accuracy, record.last_test_accuracy
    return has_learned(record) and (max(train, test) if record.dropout else train) < FITTED


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


def _late_beginning(record: Record) -> int | None:
    """The step until which the training loss was that of guessing, if that was late in training."""
    guessing = math.log(record.num_classes)
    if not is_unfinished(record) or record.last_test_loss < STILL_NEAR * guessing:
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
