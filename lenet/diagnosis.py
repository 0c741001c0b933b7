"""What recorded numbers mean, in sentences, by stated rules: plain functions."""

from __future__ import annotations

import math

NOT_BEGUN = 0.98


def has_not_begun(loss: float, num_classes: int) -> bool:
    """Whether a network is still where it started: its loss no better than guessing.

    A network that gives every one of n classes the same probability has a loss of ln n nats;
    the rule is a loss of at least 98 % of that.
    """
    return loss >= NOT_BEGUN * math.log(num_classes)


def not_begun_sentence(loss: float, accuracy: float, num_classes: int) -> str:
    """Says that a network has not begun to learn, and from which numbers one sees it."""
    return (
        f"This network has not begun to learn: its test loss of {loss:.4f} is still that of "
        f"guessing, ln {num_classes} = {math.log(num_classes):.4f} (accuracy {100 * accuracy:.2f} %)."
    )
