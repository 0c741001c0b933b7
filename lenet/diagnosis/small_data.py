"""The rule about runs with too few updates, which are usual with few training images."""

from __future__ import annotations

import math

from lenet import defaults
from lenet.diagnosis.advice import given, unusual_rate, usual_init
from lenet.diagnosis.evidence import EARLY_STEPS, no_gradient, vanishes
from lenet.diagnosis.measures import early_gradients, movement
from lenet.diagnosis.progress import dropout_gap, largest_update
from lenet.diagnosis.record import Advice, Finding, Record
from lenet.diagnosis.words import fraction, percent_of_size
from lenet.diagnostics import HARDLY_MOVED

FEW_UPDATES = 300
FITTED = 0.95


def few_updates(record: Record) -> Finding | None:
    """Finds that a finished run made too few updates to judge anything else."""
    fitted = record.last_train_accuracy >= FITTED
    if record.best_step is not None:  # The validation loss judges the number of updates.
        return None
    if record.state != "done" or record.step >= FEW_UPDATES or fitted or not record.train_images:
        return None
    # More updates of a wrong size do not help, and none help where no gradient is left.
    if unusual_rate(record) or largest_update(record) or no_gradient(record):
        return None
    updates = "1 update" if record.step == 1 else f"{record.step:,} updates"
    sentence = (
        f"There were only {updates} of the weights, too few to judge what this network can learn"
    )
    if math.isfinite(record.last_train_accuracy):
        sentence += (
            f". The accuracy on the training batches of {record.which_epoch} is "
            f"{record.accuracy(record.last_train_accuracy)}"
        )
    if gap := dropout_gap(record):
        sentence += f". {gap.sentence.rstrip('.')}"
    sentence += _first_layer(record)
    usual = defaults.training(record.train_images)
    per_epoch = math.ceil(record.train_images / usual.batch_size)
    changes = {
        "batch_size": usual.batch_size,
        "epochs": max(usual.epochs, math.ceil(FEW_UPDATES / per_epoch)),
        "max_steps": None,
    }
    tips = given(usual_init(record) if vanishes(record) else None, Advice("Train longer", changes))
    return Finding(f"{sentence}.", "curves", True, advice=tips)


def _first_layer(record: Record) -> str:
    """How little of the gradient reaches the first layer, and how far that layer moved; or ""."""
    early = early_gradients(record.by_layer("gradient_norm"), EARLY_STEPS)
    if early is None or not vanishes(record):
        return ""
    text = (
        f". So far, the gradient norm at {early.first} is only {fraction(early.ratio)} of that at "
        f"{early.last}"
    )
    moved = movement(record, early.first)
    if moved is None:
        return text
    size = percent_of_size(moved.relative)
    if moved.relative >= HARDLY_MOVED:  # The optimizer makes up for a small gradient.
        return f"{text}, but the kernel of {early.first} has moved by {size} of its size"
    so = "so" if record.reach else "and"
    return f"{text}, {so} the kernel of {early.first} has moved by only {size} of its size"
