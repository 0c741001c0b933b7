"""What to try if something is wrong, in words and as options of a TrainConfig.

Every function returns None if the run has that setting already.
"""

from __future__ import annotations

import math

from lenet.diagnosis.record import NOTHING, Advice, Record
from lenet.registry import VALIDATION_FRACTION

# At least so many epochs, and so many updates, if the run has twice as many.
PATIENCE, PATIENT_UPDATES = 5, 100
FEWEST_VALIDATION_IMAGES = 30  # With fewer, chance decides when the loss no longer falls.
# The default of Keras. Adam divides by the size of the recent gradients plus this number. If the
# gradients are smaller than this number, the steps are small, too.
ADAM_EPSILON = 1e-7


def given(*advice: Advice | None) -> tuple[Advice, ...]:
    """The advice that applies, in this order, each change once."""
    by_change: dict[str, Advice] = {}
    for piece in advice:
        if piece is not None:
            by_change.setdefault(repr(sorted(piece.changes.items())), piece)
    return tuple(by_change.values())


def smaller_rate(record: Record) -> Advice:
    """Against updates that are too large. A rate far from the usual one is not the way."""
    if not record.usual_rate / 10 <= record.learning_rate <= 10 * record.usual_rate:
        return _usual_rate(record)
    changes = {"learning_rate": record.learning_rate / 10}
    return Advice("Try a learning rate ten times smaller", changes)


def larger_rate(record: Record) -> Advice:
    """Against updates that are too small."""
    if record.learning_rate < record.usual_rate / 10:
        return _usual_rate(record)
    changes = {"learning_rate": 10 * record.learning_rate}
    return Advice("Try a learning rate ten times larger", changes)


def unusual_rate(record: Record) -> Advice | None:
    """For a rate that is very far from the usual one: that comes before any other change."""
    off = record.learning_rate / record.usual_rate if record.usual_rate else 1.0
    return _usual_rate(record) if not 0.1 <= off <= 10 else None


def adaptive_optimizer(record: Record) -> Advice | None:
    """Against gradients that are too small for the rate."""
    if not record.reach or _too_small_for_adam(record):
        return None
    words = (
        "Try Adam, which divides each update by the size of the recent gradients, so that small "
        "gradients make full steps too"
    )
    return Advice(words, {"optimizer": "adam"})


def steeper_activation(record: Record) -> Advice | None:
    """Against activations that reduce the gradient in every layer."""
    if record.activation == "relu":
        return None
    words = "Try relu, whose slope is 1 for every positive input"
    return Advice(words, {"activation": "relu"})


def usual_init(record: Record) -> Advice | None:
    """Against initial weights that make the gradient too small or too large."""
    if record.init in ("glorot_uniform", "he_normal", "source"):
        return None
    words = "Try initial weights whose size depends on the size of the layer"
    return Advice(words, {"init": "glorot_uniform"})


def momentum(record: Record) -> Advice | None:
    """Against slow progress of plain gradient descent."""
    if record.reach != 1:
        return None
    return Advice("Try momentum, which adds up many small steps", {"optimizer": "momentum"})


def more_epochs(record: Record) -> Advice:
    """For a network that is on its way."""
    epochs = max(2, 2 * -(-record.step // record.steps_per_epoch))
    return Advice("Train for twice as long", {"epochs": epochs, "max_steps": None})


def early_stopping(record: Record) -> Advice | None:
    """For a network that gets worse on other images while it learns its training images."""
    validation_images = VALIDATION_FRACTION * record.train_images
    if record.early_stopping or 0 < validation_images < FEWEST_VALIDATION_IMAGES:
        return None
    patience = max(PATIENCE, math.ceil(PATIENT_UPDATES / record.steps_per_epoch))
    # A patience of as many epochs as the run has would never stop it.
    epochs = math.ceil(record.step / record.steps_per_epoch)
    patience = min(patience, max(1, epochs // 2))
    words = "Stop when the loss on validation images no longer falls, and keep the best weights"
    return Advice(words, {"early_stopping": patience})


def more_patience(record: Record) -> Advice | None:
    """For a network that early stopping has ended although it could still improve."""
    if not ended_by_early_stopping(record):
        return None
    words = "Let early stopping wait longer"
    return Advice(words, {"early_stopping": max(PATIENCE, 2 * record.early_stopping)})


def ended_by_early_stopping(record: Record) -> bool:
    """Whether early stopping has ended the run."""
    return record.best_step is not None and record.end < record.step


def clipping(record: Record) -> Advice | None:
    """Against single gradients that are far too large."""
    if record.clip_norm:
        return None
    return Advice("Limit the norm of the gradient", {"clip_norm": 1.0})


def _too_small_for_adam(record: Record) -> bool:
    """Whether the first layer's gradient is below the constant that Adam adds to its divisor."""
    norms = record.by_layer("gradient_norm")
    _, values = next(iter(norms.values()), NOTHING)
    return len(values) > 0 and float(values[-1]) < ADAM_EPSILON


def _usual_rate(record: Record) -> Advice:
    words = f"Try the default learning rate of this network and optimizer, {record.usual_rate:g}"
    return Advice(words, {"learning_rate": record.usual_rate})
