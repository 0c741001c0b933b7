"""The result of a training, and the sums and speeds measured during it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

State = Literal["running", "done", "interrupted", "diverged", "failed"]
Evaluation = tuple[int, float, float]
"""The step of an evaluation, and its mean loss in nats and accuracy from 0 to 1."""


# Signals are handled only between compiled calls, so no call may take much longer than this.
SECONDS_PER_CALL = 0.3


class Diverged(Exception):
    """The loss is no longer a finite number. The message says which loss."""


@dataclass(repr=False)
class History:
    """The result of a training.

    Attributes:
        run: the run's folder.
        state: "done", "interrupted" or "diverged".
        step: total number of updates.
        steps, losses, accuracies: one entry per step of this session, [n]; the loss is in nats
            and the accuracy from 0 to 1, both for the batch just before its update.
        evaluations: on the test images, in order.
        validation: on the validation images, in order; empty if there are none.
        best_step: the step with the lowest validation loss, whose weights early stopping has kept;
            None without early stopping or if training was interrupted.
        weights_sha256: the sha256 of the final weights.
        seconds: total training time, including evaluation and logging.
        images_per_second: the mean speed of the training calls of this session.
        signal: the number of the signal that interrupted the training, or 0.
    """

    run: Path
    state: State = "running"
    step: int = 0
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    accuracies: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    evaluations: list[Evaluation] = field(default_factory=list)
    validation: list[Evaluation] = field(default_factory=list)
    best_step: int | None = None
    weights_sha256: str = ""
    seconds: float = 0.0
    images_per_second: float = 0.0
    signal: int = 0

    def add(self, steps: np.ndarray, losses: np.ndarray, accuracies: np.ndarray) -> None:
        """Appends the steps of one compiled call; all arrays are [n]."""
        self.step = int(steps[-1])
        self.steps = np.concatenate([self.steps, steps])
        self.losses = np.concatenate([self.losses, losses])
        self.accuracies = np.concatenate([self.accuracies, accuracies])

    def __repr__(self) -> str:
        accuracy = f", test_accuracy={self.test_accuracy:.4f}" if self.evaluations else ""
        return f"History({str(self.run)!r}, {self.state}, step={self.step}{accuracy})"

    @property
    def test_loss(self) -> float:
        """The loss at the last evaluation of the kept weights, in nats; NaN if there was none."""
        return self.last_evaluation[1]

    @property
    def test_accuracy(self) -> float:
        """The accuracy at the last evaluation of the kept weights, from 0 to 1, or NaN."""
        return self.last_evaluation[2]

    @property
    def last_evaluation(self) -> Evaluation:
        """The last evaluation of the kept weights on test images; step 0 and NaN without one."""
        return self._last(self.evaluations)

    @property
    def validation_loss(self) -> float:
        """As `test_loss`, on the validation images."""
        return self._last(self.validation)[1]

    @property
    def validation_accuracy(self) -> float:
        """As `test_accuracy`, on the validation images."""
        return self._last(self.validation)[2]

    def _last(self, evaluations: list[Evaluation]) -> Evaluation:
        end = self.step if self.best_step is None else self.best_step
        counted = [evaluation for evaluation in evaluations if evaluation[0] <= end]
        return counted[-1] if counted else (0, float("nan"), float("nan"))


@dataclass
class EpochSums:
    """Sums over the steps of the current epoch. Checkpoints keep them, as runs can stop mid-epoch."""

    loss: float = 0.0
    hits: float = 0.0
    images: int = 0
    seconds: float = 0.0

    def add(
        self, losses: np.ndarray, accuracies: np.ndarray, sizes: np.ndarray, seconds: float
    ) -> None:
        """Adds the steps of one compiled call; `sizes` are the batch sizes, int [n]."""
        self.loss += float(losses @ sizes)
        self.hits += float(accuracies @ sizes)
        self.images += int(sizes.sum())
        self.seconds += seconds

    def __str__(self) -> str:
        loss, accuracy = self.loss / self.images, self.hits / self.images
        return f"loss {loss:.4f}  accuracy {100 * accuracy:.2f} %"


class Pace:
    """The speed of training, and the number of steps for the next compiled call."""

    def __init__(self) -> None:
        self._seconds, self._images = 0.0, 0
        self._compiled = False
        self.steps_per_call = 1

    def add(self, steps: int, images: int, seconds: float) -> bool:
        """Counts one call. Returns False for the first call, whose time is mostly compilation."""
        if not self._compiled:
            self._compiled = True
            return False
        self._seconds += seconds
        self._images += images
        self.steps_per_call = max(1, int(steps * SECONDS_PER_CALL / seconds))
        return True

    @property
    def images_per_second(self) -> float:
        """The mean speed of all calls except the first; 0 if there were none."""
        return self._images / self._seconds if self._seconds else 0.0
