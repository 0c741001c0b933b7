"""The input and the output of a diagnosis: what a run recorded, and the findings about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lenet.config import TrainConfig
from lenet.diagnosis.words import accuracy_decimals, interval_in_words
from lenet.registry import OPTIMIZERS

Series = tuple[np.ndarray, np.ndarray]
"""Steps, int [n], ascending, and the value at each, float [n]."""
NOTHING: Series = (np.zeros(0, int), np.zeros(0))


@dataclass(frozen=True)
class Record:
    """What one run has recorded so far.

    Attributes:
        state: the state in `status.json`.
        step: the number of updates so far.
        last_batch: the size of the last batch of an epoch, as a share of the batch size.
        train_loss, train_accuracy: the values of each logged batch, in nats and from 0 to 1.
        test_loss, test_accuracy: the values of each evaluation, in nats and from 0 to 1.
        validation_loss, validation_accuracy: the same on validation images; empty without them.
        diagnostics: the value at each inspection, by name as in `diagnostics.DIAGNOSTICS` and then
            by layer, in order of depth. Empty if there were no inspections.
        kernel_sizes: the L2 norm of each kernel at the first inspection, by layer.
        units: the number of units of each layer; in a convolution, a unit is a kernel.
        greatest_slopes: by layer, the greatest slope that its activation function has anywhere.
            Empty if it was not recorded.
        usual_rate: the default learning rate of this network and optimizer.
        reach: how far one gradient moves the weights at most, in units of learning rate times
            gradient: 1 for plain gradient descent, 1 / (1 - momentum) with momentum; 0 for an
            optimizer that divides each update by the size of recent gradients.
        constant_rate: whether the learning rate is the same at all steps.
        error: why the run failed, or "" if the reason is not known.
        dropout: the highest dropout rate of any layer.
        augmented: whether the training images are augmented.
        weight_decay, clip_norm, early_stopping: the options of the same names; 0 if they are off.
        best_step: the step whose weights early stopping has kept, or None. The last values are
            those of this step.
        train_images, test_images: the numbers of images; 0 if they are not known.
        only_answer: the class that the trained network predicts for all test images, or "".
    """

    state: str
    step: int
    activation: str
    optimizer: str
    learning_rate: float
    usual_rate: float
    num_classes: int
    steps_per_epoch: int
    train_loss: Series
    train_accuracy: Series
    test_loss: Series
    test_accuracy: Series
    last_batch: float = 1.0
    diagnostics: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    kernel_sizes: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)
    greatest_slopes: Mapping[str, float] = field(default_factory=dict)
    reach: float = 0.0
    constant_rate: bool = True
    init: str = "glorot_uniform"
    error: str = ""
    dropout: float = 0.0
    augmented: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    early_stopping: int = 0
    best_step: int | None = None
    validation_loss: Series = NOTHING
    validation_accuracy: Series = NOTHING
    train_images: int = 0
    test_images: int = 0
    only_answer: str = ""

    @property
    def end(self) -> int:
        """The step of the weights that the run has kept: the best step or the last one."""
        return self.step if self.best_step is None else self.best_step

    def kept(self, series: Series) -> Series:
        """The part of a curve up to the step that early stopping has kept; without it, all."""
        if self.best_step is None:
            return series
        steps, values = series
        return steps[steps <= self.best_step], values[steps <= self.best_step]

    @property
    def last_train_loss(self) -> float:
        """The mean over the images of `which_epoch`; NaN if no batch was logged."""
        return self._last_epoch(self.train_loss)

    @property
    def last_train_accuracy(self) -> float:
        """The mean over the images of `which_epoch`; NaN if no batch was logged."""
        return self._last_epoch(self.train_accuracy)

    @property
    def last_test_loss(self) -> float:
        """The loss of the last evaluation; NaN if there was none."""
        return self._last(self.test_loss)

    @property
    def last_test_accuracy(self) -> float:
        """The accuracy of the last evaluation; NaN if there was none."""
        return self._last(self.test_accuracy)

    def by_layer(self, diagnostic: str) -> Mapping[str, Series]:
        """One diagnostic by layer, in order of depth; empty if it was not recorded."""
        return self.diagnostics.get(diagnostic, {})

    def epochs(self, step: int) -> str:
        """A number of steps in epochs, e.g. "1 epoch" or "2.5 epochs"."""
        count = f"{step / self.steps_per_epoch:.3g}"
        return f"{count} epoch{'' if count == '1' else 's'}"

    def accuracy(self, accuracy: float) -> str:
        """An accuracy with the decimals that the number of test images supports."""
        return f"{100 * accuracy:.{accuracy_decimals(self.test_images)}f} %"

    @property
    def which_epoch(self) -> str:
        """The epoch to which `last_train_accuracy` belongs, or its steps if the end is within one."""
        if self.end % self.steps_per_epoch:
            count = min(self.end, self.steps_per_epoch)
            return "the first step" if count == 1 else f"the last {count:,} steps"
        return "the last epoch" if self.best_step is None else "the epoch that was kept"

    @property
    def test_accuracy_in_words(self) -> str:
        """The last test accuracy, with its interval if there are few test images."""
        shown = self.accuracy(self.last_test_accuracy)
        return f"{shown}{interval_in_words(self.last_test_accuracy, self.test_images)}"

    def _last_epoch(self, series: Series) -> float:
        steps, values = series
        counted = (steps > self.end - self.steps_per_epoch) & (steps <= self.end)
        if not counted.any():
            return float("nan")
        weights = np.where(steps % self.steps_per_epoch, 1.0, self.last_batch)
        return float(np.average(values[counted], weights=weights[counted]))

    def _last(self, series: Series) -> float:
        _, values = self.kept(series)
        return float(values[-1]) if len(values) else float("nan")


@dataclass(frozen=True)
class Evidence:
    """One step of an explanation.

    Attributes:
        sentence: what was measured, with its numbers.
        plot: the plot that shows the numbers; see `Finding.plot`.
    """

    sentence: str
    plot: str


@dataclass(frozen=True)
class Advice:
    """One thing to try.

    Attributes:
        words: what to try and why, e.g. "Try dropout".
        changes: the same as options of a TrainConfig; empty if the run only needs to continue.
    """

    words: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing that the numbers of a run show.

    Attributes:
        sentence: the finding, with its numbers.
        plot: the plot that shows the numbers: "curves", "gradients", "activity", or one of
            "update_ratio", "distance_moved" and "slope".
        wrong: whether the user should change something.
        evidence: why, step by step.
        advice: what to try if it is wrong, the most promising first.
        rule: the name of the rule that found it.
        verdict: the finding in two or three words.
    """

    sentence: str
    plot: str
    wrong: bool = False
    evidence: tuple[Evidence, ...] = ()
    advice: tuple[Advice, ...] = ()
    rule: str = ""
    verdict: str = ""


def options_of(config: TrainConfig) -> dict[str, Any]:
    """The options of a run that a Record contains."""
    usual = TrainConfig(model=config.model, optimizer=config.optimizer).resolved(1)
    built = OPTIMIZERS[config.optimizer]
    momentum = float(built["arguments"].get("momentum", 0.0))
    return {
        "activation": config.activation,
        "optimizer": config.optimizer,
        "learning_rate": float(config.learning_rate or 0),
        "usual_rate": float(usual.learning_rate or 0),
        "reach": 1 / (1 - momentum) if built["keras_class"] == "SGD" else 0.0,
        "constant_rate": config.schedule == "constant" and not config.warmup_steps,
        "init": config.init or usual.init or "",
        "dropout": max(config.conv_dropout or 0.0, config.fc_dropout or 0.0),
        "augmented": bool(config.augment),
        "weight_decay": config.weight_decay or 0.0,
        "clip_norm": config.clip_norm,
        "early_stopping": config.early_stopping,
    }
