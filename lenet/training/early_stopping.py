"""Decides by the validation loss when to stop, and which weights to keep (L. Prechelt, 1998)."""

from __future__ import annotations

from collections.abc import Sequence

from lenet.training.history import Evaluation
from lenet.training.schedule import Schedule


def best_step(validation: Sequence[Evaluation], schedule: Schedule) -> int | None:
    """The step with the lowest validation loss, the first one if several are equal.

    Args:
        validation: all evaluations so far. Only those at the end of an epoch or of the training
            count, because checkpoints exist for these steps.

    Returns:
        The step; None if no evaluation counts.
    """
    counted = [(loss, step) for step, loss, _ in validation if schedule.is_end(step)]
    return min(counted)[1] if counted else None


def is_over(validation: Sequence[Evaluation], schedule: Schedule, patience: int, step: int) -> bool:
    """Whether the validation loss has not improved for too many epochs.

    It depends only on the evaluations, so a resumed run stops where the whole run would.

    Args:
        patience: the number of epochs without improvement; 0: never stop.
        step: number of updates so far.
    """
    best = best_step(validation, schedule)
    return (
        bool(patience) and best is not None and step - best >= patience * schedule.steps_per_epoch
    )
