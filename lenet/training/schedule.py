"""Computes the steps at which epochs end and evaluations, inspections and checkpoints are due."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """The plan of one run. A step is one optimizer update; step 0 is before the first update.

    Attributes:
        size: number of training images.
        batch_size: images per update.
        epochs: passes over the training images.
        max_steps: maximum number of updates, or None.
        inspect_every: steps between inspections; 0: no inspections.
        eval_every, checkpoint_every: steps between evaluations and between checkpoints; 0: only
            at the end of each epoch. The first evaluation is at step 0.
    """

    size: int
    batch_size: int
    epochs: int
    max_steps: int | None = None
    inspect_every: int = 0
    eval_every: int = 0
    checkpoint_every: int = 0

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.size / self.batch_size)

    @property
    def last_batch(self) -> float:
        """The size of the last batch of an epoch, as a share of `batch_size`."""
        return ((self.size - 1) % self.batch_size + 1) / self.batch_size

    @property
    def total_steps(self) -> int:
        """Number of updates in all epochs, without the limit `max_steps`."""
        return self.epochs * self.steps_per_epoch

    @property
    def last_step(self) -> int:
        return min(self.total_steps, self.max_steps or self.total_steps)

    def position(self, step: int) -> tuple[int, int]:
        """The epoch (from 0) of the next update after `step`, and its batch in that epoch."""
        return divmod(step, self.steps_per_epoch)

    def epoch_of(self, step: int) -> int:
        """The epoch (from 1) of the last update; 0 at step 0."""
        return math.ceil(step / self.steps_per_epoch)

    def in_words(self, step: int) -> str:
        """A step in words: "after epoch 3" or, within an epoch, "at step 270 in epoch 3"."""
        when = "after" if self.is_epoch_end(step) else f"at step {step:,} in"
        return f"{when} epoch {self.epoch_of(step)}"

    def next_boundary(self, step: int) -> int:
        """The first step after `step` at which something is due.

        The step before an inspection counts too, so that the last update can be measured alone.
        """
        periods = (
            self.steps_per_epoch,
            self.inspect_every,
            self.eval_every,
            self.checkpoint_every,
        )
        due = min(step + period - step % period for period in periods if period)
        boundary = min(self.last_step, due)
        return boundary - 1 if self.inspection_due(boundary) and boundary - 1 > step else boundary

    def is_epoch_end(self, step: int) -> bool:
        return step > 0 and step % self.steps_per_epoch == 0

    def is_end(self, step: int) -> bool:
        """Whether an epoch or the training ends at this step."""
        return self.is_epoch_end(step) or step == self.last_step

    def inspection_due(self, step: int) -> bool:
        return bool(self.inspect_every) and (
            step % self.inspect_every == 0 or step == self.last_step
        )

    def evaluation_due(self, step: int) -> bool:
        return self._due(step, self.eval_every) or step == 0

    def is_whole_evaluation(self, step: int) -> bool:
        """Whether an evaluation at this step uses the full test set, whatever `eval_size` is."""
        return step == 0 or self.is_end(step)

    def checkpoint_due(self, step: int) -> bool:
        return self._due(step, self.checkpoint_every)

    def _due(self, step: int, period: int) -> bool:
        if self.is_end(step):
            return True
        return bool(period) and step > 0 and step % period == 0

    def batch_sizes(self, first: int, count: int) -> np.ndarray:
        """The batch sizes of the updates first + 1 … first + count; int64 [count]."""
        batch = np.arange(first, first + count) % self.steps_per_epoch
        return np.minimum(self.batch_size, self.size - batch * self.batch_size)


def logged_steps(steps: np.ndarray, log_every: int, last_step: int) -> np.ndarray:
    """Whether each step is logged: every `log_every`th, the first and the last step; bool [n]."""
    return (steps % log_every == 0) | (steps == 1) | (steps == last_step)
