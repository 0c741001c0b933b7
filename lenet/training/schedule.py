"""When something is due, and at which learning rate: plain numbers, no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lenet.registry import ONE_CYCLE_RISE

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 250_000


@dataclass(frozen=True)
class Schedule:
    """The plan of one run. A step is one optimizer update; step 0 is before the first update.

    Attributes:
        size: number of training images.
        batch_size: images per update.
        epochs: passes over the training images.
        max_steps: stop after this many updates, or None.
        inspect_every, eval_every, checkpoint_every: in steps; 0 means not between epochs.
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
    def total_steps(self) -> int:
        """Updates in all epochs, without `max_steps`."""
        return self.epochs * self.steps_per_epoch

    @property
    def last_step(self) -> int:
        return min(self.total_steps, self.max_steps or self.total_steps)

    def position(self, step: int) -> tuple[int, int]:
        """The epoch (from 0), and the batch in it, of the next update after `step`."""
        return divmod(step, self.steps_per_epoch)

    def epoch_of(self, step: int) -> int:
        """The epoch (from 1) of the last update; 0 at step 0."""
        return math.ceil(step / self.steps_per_epoch)

    def next_boundary(self, step: int) -> int:
        """The first step after `step` at which something is due.

        The step before an inspection counts too: the update between them is measured alone.
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

    def inspection_due(self, step: int) -> bool:
        return bool(self.inspect_every) and (
            step % self.inspect_every == 0 or step == self.last_step
        )

    def evaluation_due(self, step: int) -> bool:
        return self._due(step, self.eval_every) or step == 0

    def is_whole_evaluation(self, step: int) -> bool:
        """Whether an evaluation at this step uses the whole test set, whatever `eval_size` is."""
        return step in (0, self.last_step) or self.is_epoch_end(step)

    def checkpoint_due(self, step: int) -> bool:
        return self._due(step, self.checkpoint_every)

    def _due(self, step: int, period: int) -> bool:
        if step == self.last_step or self.is_epoch_end(step):
            return True
        return bool(period) and step > 0 and step % period == 0

    def batch_sizes(self, first: int, count: int) -> np.ndarray:
        """The batch sizes of the updates first + 1 … first + count; int64 [count]."""
        batch = np.arange(first, first + count) % self.steps_per_epoch
        return np.minimum(self.batch_size, self.size - batch * self.batch_size)


def logged_steps(steps: np.ndarray, log_every: int, last_step: int) -> np.ndarray:
    """Which steps are logged: every `log_every`th, the first and the last; bool [n]."""
    return (steps % log_every == 0) | (steps == 1) | (steps == last_step)


def learning_rates(
    name: str, peak: float, first: int, count: int, total_steps: int, warmup_steps: int = 0
) -> np.ndarray:
    """The learning rates of the updates first + 1 … first + count.

    constant: `peak`. cosine: half a cosine from `peak` to 0 (Loshchilov & Hutter, SGDR, 2017,
    without restarts). one_cycle: a rise from peak / 25 during the first 30 % of the steps, then
    a fall to peak / 250,000, both along half a cosine (Smith & Topin, Super-convergence, 2018,
    in PyTorch's form). With `warmup_steps` the rate first rises linearly (along the cosine for
    one_cycle) and reaches `peak` at that step.

    Args:
        name: a `registry.LearningRateSchedule`.
        first: updates already made.
        total_steps: updates in the whole training.

    Returns:
        float32 [count].
    """
    step = np.arange(first + 1, first + count + 1, dtype=np.float64)
    if name == "one_cycle":
        warmup_steps = warmup_steps or max(1, round(ONE_CYCLE_RISE * total_steps))
        rising = _half_cosine(peak * ONE_CYCLE_START, peak, step / warmup_steps)
    else:
        rising = peak * step / max(warmup_steps, 1)
    progress = (step - 1 - warmup_steps) / max(total_steps - warmup_steps, 1)
    if name == "constant":
        settled = np.full_like(step, peak)
    else:
        end = peak * ONE_CYCLE_END if name == "one_cycle" else 0.0
        settled = _half_cosine(peak, end, progress)
    return np.where(step < warmup_steps, rising, settled).astype(np.float32)


def _half_cosine(start: float, end: float, progress: np.ndarray) -> np.ndarray:
    """Half a cosine from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * (1 + np.cos(np.pi * np.clip(progress, 0, 1))) / 2
