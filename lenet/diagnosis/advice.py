"""What to try if something is wrong, in words and as options of a TrainConfig."""

from __future__ import annotations

from typing import Any

from lenet.diagnosis.record import Record

Advice = tuple[str, dict[str, Any]]


def smaller_rate(record: Record) -> Advice:
    """Advice for updates that are too large."""
    if record.learning_rate > 10 * record.usual_rate:
        return _usual_rate(record)
    return "Try a learning rate ten times smaller", {"learning_rate": record.learning_rate / 10}


def larger_rate(record: Record) -> Advice:
    """Advice for updates that are too small."""
    if record.learning_rate < record.usual_rate / 10:
        return _usual_rate(record)
    return "Try a learning rate ten times larger", {"learning_rate": 10 * record.learning_rate}


def livelier(record: Record, other_activation: bool = False) -> Advice:
    """Advice for a network that does not improve. It never repeats the current setting.

    Args:
        other_activation: whether the activation is a more likely cause than the optimizer.
    """
    if record.optimizer != "adam" and not other_activation:
        return "Try an optimizer that adapts the size of its steps", {"optimizer": "adam"}
    if record.activation != "relu":
        return "Try an activation that lets the gradient through", {"activation": "relu"}
    if record.learning_rate < record.usual_rate:
        return larger_rate(record)
    return smaller_rate(record)


def _usual_rate(record: Record) -> Advice:
    advice = f"Try the usual learning rate of {record.optimizer}"
    return advice, {"learning_rate": record.usual_rate}
