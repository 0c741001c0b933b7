"""The data of a report: single runs, combinations of runs, and their comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.report.differences import Difference, Scores, differences
from experiments.report.statistics import Rank, rank
from lenet import diagnosis
from lenet.config import TrainConfig
from lenet.diagnosis import Finding, Record
from lenet.option_checks import join
from lenet.recording import inspections
from lenet.recording.predictions import Predictions

# Test accuracies. A report shows how many epochs each run needed to reach them.
TARGETS = (0.95, 0.98)
# The folder with the runs of `--tune`, and the name of their outcome in grid.json.
TUNING = "tuning"


class ReportError(ValueError):
    """A folder cannot be reported on. The message describes what the folder contains."""


@dataclass(frozen=True)
class Run:
    """One run of a comparison.

    Attributes:
        dataset, environment: the entries in its `config.json`.
        state: the state in `status.json`, or "stopped" if that is "running" but no process is
            training this run.
        record: what was measured during training.
        inspections: the files of its readable inspections by step, in ascending order.
        problems: the files of this run that are damaged, each with the reason. More may be added
            when arrays are read.
        network: its layers in order, each with name, kind, output, units and parameters; () if they
            were not recorded.
        predictions: what the network predicts for the test images; None if that was not recorded.
    """

    folder: Path
    config: TrainConfig
    dataset: Mapping[str, Any]
    environment: Mapping[str, Any]
    status: Mapping[str, Any]
    state: str
    record: Record
    inspections: Mapping[int, Path]
    problems: list[str]
    network: Sequence[Mapping[str, Any]] = ()
    predictions: Predictions | None = None

    @cached_property
    def findings(self) -> list[Finding]:
        """The diagnosis of this run."""
        return diagnosis.diagnose(self.record)

    @property
    def done(self) -> bool:
        return self.state == "done" and len(self.record.test_accuracy[1]) > 0

    @property
    def training_images(self) -> int:
        """The number of training images before any were taken for validation."""
        return int(self.dataset.get("train") or 1) + int(self.dataset.get("validation") or 0)

    @property
    def test_accuracy(self) -> float:
        return self.record.last_test_accuracy

    @property
    def test_loss(self) -> float:
        return self.record.last_test_loss

    @property
    def seconds_per_epoch(self) -> float:
        """Seconds of training, evaluation and logging per epoch; NaN before the first step."""
        epochs = self.record.step / self.record.steps_per_epoch
        return float(self.status.get("seconds") or math.nan) / epochs if epochs else math.nan

    def epochs_to(self, accuracy: float) -> float:
        """Epochs until the first evaluation with at least that test accuracy, or NaN."""
        steps, accuracies = self.record.test_accuracy
        reached = steps[accuracies >= accuracy]
        return float(reached[0]) / self.record.steps_per_epoch if len(reached) else math.nan

    def inspection(self, step: int, *kinds: str) -> dict[str, np.ndarray]:
        """Reads some arrays of one inspection.

        Args:
            kinds: the last parts of the names of the arrays, e.g. "kernel" for `conv1/kernel`.

        Returns:
            The arrays by name; {} if the file is missing or damaged.
        """
        if step not in self.inspections:
            return {}
        try:
            arrays = inspections.load(
                self.inspections[step], lambda name: name.rpartition("/")[2] in kinds
            )
            self._check_shapes(step, arrays)
        except (OSError, ValueError) as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return {}
        return arrays

    def _check_shapes(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Raises a ValueError if arrays do not fit to those of other inspections or to the classes."""
        labels = arrays.get("labels", np.zeros(0, int))
        outside = labels.size and not 0 <= labels.min() <= labels.max() < self.record.num_classes
        for name, array in arrays.items():
            if outside or array.shape != self._shapes.setdefault(name, array.shape):
                raise ValueError(f"{self.inspections[step]} does not fit to this run ({name})")

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays that were read first, by name."""
        return {}


@dataclass(frozen=True)
class Combination:
    """The runs that differ only in their seed.

    Attributes:
        number: its position in the comparison, from 0.
        label: e.g. "relu · adam".
        variant: the label without the activation, e.g. "adam".
        runs: the runs, sorted by seed.
    """

    number: int
    label: str
    activation: str
    variant: str
    runs: tuple[Run, ...]

    @property
    def done(self) -> list[Run]:
        return [run for run in self.runs if run.done]

    @property
    def shown(self) -> Run:
        """The run whose kernels and maps the page shows: the first one with inspections."""
        ordered = [*self.done, *self.runs]
        return next((run for run in ordered if run.inspections), ordered[0])

    def values(self, name: str) -> list[float]:
        """The value of one measure, e.g. "test_accuracy", for each finished run, if finite."""
        values = [float(getattr(run, name)) for run in self.done]
        return [value for value in values if math.isfinite(value)]

    @property
    def scores(self) -> Scores:
        """The test results of the finished runs."""
        finished = [run for run in self.done if math.isfinite(run.test_accuracy)]
        return Scores(
            {run.config.seed: run.test_accuracy for run in finished},
            {run.config.seed: read.correct for run in finished if (read := run.predictions)},
        )


@dataclass(frozen=True)
class Comparison:
    """All data of a report.

    Attributes:
        grid: the content of `grid.json`, or {}.
        notes: problems that occurred while the folder was read.
    """

    folder: Path
    combinations: tuple[Combination, ...]
    grid: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        return [run for combination in self.combinations for run in combination.runs]

    @property
    def dataset(self) -> Mapping[str, Any]:
        return self.runs[0].dataset

    @property
    def test_images(self) -> int:
        """The number of test images."""
        return self.runs[0].record.test_images

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping has chosen the weights of a run."""
        return any(run.record.best_step is not None for run in self.runs)

    @cached_property
    def ranked(self) -> list[tuple[Rank, Combination]]:
        """The combinations with their ranks, the best first."""
        numbers = rank(self._scores, self._differences)
        return [(each, self.combinations[number]) for each, number in numbers]

    @cached_property
    def _scores(self) -> list[Scores]:
        return [c.scores for c in self.combinations]

    @cached_property
    def _differences(self) -> dict[tuple[int, int], Difference]:
        return differences(self._scores, self.test_images)

    def difference(self, one: Combination, other: Combination) -> Difference | None:
        """The test accuracy of one combination minus another's; None without a common seed."""
        return self._differences.get((one.number, other.number))

    @property
    def activations(self) -> list[str]:
        return list(dict.fromkeys(c.activation for c in self.combinations))

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(c.variant for c in self.combinations))

    @property
    def seeds(self) -> list[int]:
        return sorted({run.config.seed for run in self.runs})

    @property
    def most_seeds(self) -> int:
        """The largest number of seeds in any combination."""
        return max(len(combination.runs) for combination in self.combinations)

    def with_activation(self, activation: str) -> list[Combination]:
        """The combinations with that activation."""
        return [c for c in self.combinations if c.activation == activation]


def seed_list(runs: Sequence[Run]) -> str:
    """The seeds of some runs, e.g. "seed 0" or "seeds 0 and 1"."""
    seeds = [str(seed) for seed in sorted({run.config.seed for run in runs})]
    return f"seed{'s' if len(seeds) > 1 else ''} {join(seeds)}"
