"""Evidence about the progress of a training: its losses, its accuracies and the size of its updates.

Every function returns None if the numbers were not recorded or show nothing.
"""

from __future__ import annotations

import math

import numpy as np

from lenet.diagnosis.measures import last_epoch, last_rise, movement
from lenet.diagnosis.record import Evidence, Record
from lenet.diagnosis.words import fraction, loss_text, number, percent_of_size

DROPOUT_GAP = 0.05  # A difference in accuracy.
SMALL_RATE, LARGE_RATE = 0.1, 10  # Multiples of the default learning rate.
SMALL_UPDATE, LARGE_UPDATE = 0.0005, 0.1  # Shares of the size of a kernel.
CANCELLED = 0.1  # A share of the way that all updates would make in one direction.


def largest_update(record: Record) -> Evidence | None:
    """The largest update at an inspection, if it is large compared with its kernel."""
    largest = {
        layer: (float(np.nanmax(values)), int(steps[np.nanargmax(values)]))
        for layer, (steps, values) in record.by_layer("update_ratio").items()
        if np.isfinite(values).any()
    }
    if not largest:
        return None
    layer = max(largest, key=lambda name: largest[name])
    ratio, step = largest[layer]
    if ratio < LARGE_UPDATE:
        return None
    sentence = (
        f"The update at step {step:,} changed the kernel of {layer} by {percent_of_size(ratio)} of "
        "its size. About 0.1 % is usual."
    )
    return Evidence(sentence, "update_ratio")


def small_updates(record: Record) -> Evidence | None:
    """The layer with the smallest update ratio late in training, if that is small."""
    late = {
        layer: float(values[steps > steps[-1] / 2].mean())
        for layer, (steps, values) in record.by_layer("update_ratio").items()
        if len(steps) and np.isfinite(values).all()
    }
    layer = min(late, key=lambda name: late[name], default="")
    if not layer or late[layer] >= SMALL_UPDATE:
        return None
    sentence = (
        f"Its updates are small: in the second half of the steps, one update changes the kernel of "
        f"{layer} by {percent_of_size(late[layer])} of its size. About 0.1 % is usual."
    )
    return Evidence(sentence, "update_ratio")


def far_off_rate(record: Record) -> Evidence | None:
    """That the learning rate is far from the default, so that it is the first cause to rule out."""
    if not record.usual_rate or not record.learning_rate:
        return None
    off = record.learning_rate / record.usual_rate
    default = f"the default of this network and optimizer ({record.usual_rate:g})"
    if off < SMALL_RATE:
        sentence = (
            f"The updates are small because the learning rate is: {record.learning_rate:g} is "
            f"{fraction(off)} of {default}."
        )
    elif off > LARGE_RATE:
        sentence = f"The learning rate is large: {record.learning_rate:g} is {number(off)} times {default}."
    else:
        return None
    return Evidence(sentence, "update_ratio")


def highest_loss(record: Record) -> Evidence | None:
    """The highest finite training loss, if it is above the first one."""
    steps, losses = record.train_loss
    finite = np.isfinite(losses)
    if not finite.any():
        return None
    steps, losses = steps[finite], losses[finite]
    top = int(losses.argmax())
    if losses[top] <= 1.5 * max(float(losses[0]), math.log(record.num_classes)):
        return None
    sentence = (
        f"The loss of a training batch was {loss_text(float(losses[0]))} at step {steps[0]:,} and "
        f"{loss_text(float(losses[top]))} at step {steps[top]:,}."
    )
    return Evidence(sentence, "curves")


def last_gain(record: Record) -> str:
    """The test accuracy one epoch before, in brackets, or "" if it is the same or unknown."""
    steps, accuracies = record.test_accuracy
    ends = last_epoch(record)
    if ends is None or not last_rise(record):
        return ""
    before = float(accuracies[ends[0]])
    return f" (after {record.epochs(steps[ends[0]])}: {record.accuracy(before)})"


def cancelling_updates(record: Record) -> Evidence | None:
    """The layer that has moved least for its size, if its updates mostly cancel each other."""
    moves = [move for layer in record.kernel_sizes if (move := movement(record, layer))]
    moved = min(moves, key=lambda move: move.relative, default=None)
    if moved is None or not 0 < moved.distance < CANCELLED * moved.path:
        return None
    sentence = (
        f"Most updates cancel each other. The {record.step:,} updates of the kernel of {moved.layer} "
        f"add up to about {percent_of_size(moved.path / moved.size)} of its size, but they point in "
        f"different directions, so it moved by only {percent_of_size(moved.relative)}."
    )
    return Evidence(sentence, "distance_moved")


def dropout_gap(record: Record) -> Evidence | None:
    """That the training accuracy is low because of dropout, which is off in tests."""
    train, test = record.last_train_accuracy, record.last_test_accuracy
    if not record.dropout or not test - train >= DROPOUT_GAP:
        return None
    sentence = (
        f"Dropout (rate {record.dropout:g}) makes training harder: with it, the accuracy on the "
        f"training batches of {record.which_epoch} is {record.accuracy(train)}. Without it, on the test "
        f"images, it is {record.accuracy(test)}."
    )
    return Evidence(sentence, "curves")
