"""What the runs of one folder recorded, read back for a report: no TensorFlow, no drawing."""

from __future__ import annotations

import csv
import fcntl
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.combinations import VARIABLE, as_word
from lenet import diagnosis, registry
from lenet.config import TrainConfig
from lenet.diagnosis import Finding, Record, Series, options_of
from lenet.diagnostics import DIAGNOSTICS
from lenet.recording import runs

GRID, TUNING = "grid.json", "tuning"
# These follow from the activation, the initializer or the optimizer unless someone says otherwise.
DEPENDENT = ("fc2_activation", "init_bias", "learning_rate")
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
TARGETS = (0.95, 0.98)  # Test accuracies: a report says how many epochs each run took to them.


class ReportError(ValueError):
    """The folder holds nothing a report can be made of; the message says what it holds."""


@dataclass(frozen=True)
class Run:
    """One run of a comparison.

    Attributes:
        dataset, environment: as in its `config.json`.
        state: as in `status.json`, or "stopped" where it says "running" and no process runs it.
        record: what it recorded.
    """

    folder: Path
    config: TrainConfig
    dataset: Mapping[str, Any]
    environment: Mapping[str, Any]
    status: Mapping[str, Any]
    state: str
    record: Record

    @cached_property
    def findings(self) -> list[Finding]:
        """The diagnosis of this run."""
        return diagnosis.diagnose(self.record)

    @property
    def done(self) -> bool:
        return self.state == "done" and len(self.record.test_accuracy[1]) > 0

    @property
    def test_accuracy(self) -> float:
        return _last(self.record.test_accuracy)

    @property
    def test_loss(self) -> float:
        return _last(self.record.test_loss)

    @property
    def seconds_per_epoch(self) -> float:
        """Training, evaluation and logging, per epoch; NaN before the first step."""
        epochs = self.record.step / self.record.steps_per_epoch
        return float(self.status.get("seconds") or math.nan) / epochs if epochs else math.nan

    def epochs_to(self, accuracy: float) -> float:
        """Epochs until the first evaluation with that test accuracy; NaN if there was none."""
        steps, accuracies = self.record.test_accuracy
        reached = steps[accuracies >= accuracy]
        return float(reached[0]) / self.record.steps_per_epoch if len(reached) else math.nan

    def inspection_steps(self) -> dict[int, Path]:
        """The files of this run's inspections, by step, ascending."""
        paths = sorted((self.folder / runs.INSPECTIONS).glob("step-*.npz"))
        return {int(path.stem.removeprefix("step-")): path for path in paths}

    def inspection(self, step: int, *kinds: str) -> dict[str, np.ndarray]:
        """The arrays of one inspection whose name is, or ends with, one of `kinds`; {} if unreadable."""
        try:
            with np.load(self.inspection_steps()[step], allow_pickle=False) as arrays:
                names = [name for name in arrays.files if name.rpartition("/")[2] in kinds]
                return {name: arrays[name] for name in names}
        except UNREADABLE:
            return {}


@dataclass(frozen=True)
class Combination:
    """The runs that differ in nothing but their seed.

    Attributes:
        number: its place in the page, from 0.
        label: e.g. "relu · adam".
        variant: the label without the activation, e.g. "adam".
        runs: by seed.
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
        """The run whose kernels and maps stand for all: that of the least seed, if it has any."""
        ordered = [*self.done, *self.runs]
        return next((run for run in ordered if run.inspection_steps()), ordered[0])

    def values(self, name: str) -> list[float]:
        """A number of every finished run, e.g. "test_accuracy"; those that are not finite left out."""
        found = [float(getattr(run, name)) for run in self.done]
        return [value for value in found if math.isfinite(value)]


@dataclass(frozen=True)
class Comparison:
    """Everything a report is made of.

    Attributes:
        grid: what `grid.json` says, or {}.
        notes: what the reader should know of the folder.
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
        """Seeds of the combination that has most of them."""
        return max(len(combination.runs) for combination in self.combinations)

    def of(self, activation: str) -> list[Combination]:
        """The combinations with that activation."""
        return [c for c in self.combinations if c.activation == activation]


def read_comparison(folder: Path) -> Comparison:
    """Reads all runs that lie directly in a folder.

    Raises:
        ReportError: there are none, or they were trained on different data sets.
    """
    if not folder.is_dir():
        raise ReportError(f"There is no folder {folder}.")
    if (folder / runs.CONFIG).is_file():
        raise ReportError(
            f"{folder} is one run: give the folder of all the runs to compare, e.g. {folder.parent}."
        )
    found, notes = [], []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or entry.name == TUNING:
            continue
        if (entry / runs.CONFIG).is_file():
            try:
                found.append(read_run(entry))
            except UNREADABLE as error:
                notes.append(f"{entry.name} is left out: {error}")
        elif (entry / runs.STATUS).is_file():
            reason = _json(entry / runs.STATUS).get("error") or "no reason noted"
            notes.append(f"{entry.name} failed before it began: {reason}")
    if not found:
        detail = f" ({notes[0]})" if notes else ""
        raise ReportError(
            f"There are no runs in {folder}{detail}: give the folder of a grid, e.g. summary_logs/demo."
        )
    _check_one_dataset(folder, found)
    return Comparison(folder, _combine(found), _json(folder / GRID), tuple(notes))


def read_run(folder: Path) -> Run:
    """Reads one run, as far as it got.

    Raises:
        ValueError: its `config.json` is damaged.
    """
    saved, dataset = runs.read_config(folder)
    config = saved.resolved(str(dataset["name"]))  # An older run may lack an option.
    environment = _json(folder / runs.CONFIG).get("environment", {})
    status = _json(folder / runs.STATUS)
    state = status.get("state", "unknown")
    if state == "running" and not _is_locked(folder):
        state = "stopped"
    curves = _read_metrics(folder / runs.METRICS)
    kinds = _read_diagnostics(folder / runs.INSPECTIONS)
    size, batch = int(dataset.get("train") or 1), int(config.batch_size or 1)
    steps = [int(series[0][-1]) for series in curves.values() if len(series[0])]
    record = Record(
        state=state,
        step=int(status.get("step") or max(steps, default=0)),
        num_classes=len(dataset["class_names"]),
        steps_per_epoch=max(1, -(-size // batch)),
        error=str(status.get("error") or ""),
        train_loss=curves["train_loss"],
        train_accuracy=curves["train_accuracy"],
        test_loss=curves["test_loss"],
        test_accuracy=curves["test_accuracy"],
        gradient_norm=kinds.get("gradient_norm", {}),
        dead_fraction=kinds.get("dead_fraction", {}),
        saturated_fraction=kinds.get("saturated_fraction", {}),
        **options_of(config),
    )
    return Run(folder, config, dataset, environment, status, state, record)


def varied_options(configs: Sequence[TrainConfig]) -> list[str]:
    """The options besides activation, optimizer and seed in which some runs differ.

    One that follows from others unless set, as the rate does from the optimizer, counts only
    where it differs between runs that agree in all the rest.
    """
    free = [
        name for name in VARIABLE if name not in ("activation", "optimizer", "seed", *DEPENDENT)
    ]
    varied = [name for name in free if len({getattr(config, name) for config in configs}) > 1]
    for name in DEPENDENT:
        groups: dict[tuple[Any, ...], set[Any]] = {}
        for config in configs:
            key = tuple(getattr(config, n) for n in ("activation", "optimizer", *varied))
            groups.setdefault(key, set()).add(getattr(config, name))
        if any(len(values) > 1 for values in groups.values()):
            varied.append(name)
    return varied


def _combine(found: Sequence[Run]) -> tuple[Combination, ...]:
    varied = varied_options([run.config for run in found])
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in found:
        words = [run.config.optimizer, *(_word(name, getattr(run.config, name)) for name in varied)]
        groups.setdefault((run.config.activation, " · ".join(words)), []).append(run)
    activations, optimizers = registry.ACTIVATIONS, list(registry.OPTIMIZERS)

    def place(key: tuple[str, str]) -> tuple[int, int, list[Any]]:
        first = groups[key][0].config
        others = [getattr(first, name) for name in varied]
        return (
            activations.index(key[0]),
            optimizers.index(first.optimizer),
            [value if isinstance(value, (int, float)) else str(value) for value in others],
        )

    return tuple(
        Combination(
            number,
            f"{activation} · {variant}",
            activation,
            variant,
            tuple(
                sorted(groups[activation, variant], key=lambda run: (run.config.seed, run.folder))
            ),
        )
        for number, (activation, variant) in enumerate(sorted(groups, key=place))
    )


def _check_one_dataset(folder: Path, found: Sequence[Run]) -> None:
    by_sha: dict[str, list[Run]] = {}
    for run in found:
        by_sha.setdefault(str(run.dataset["sha256"]), []).append(run)
    if len(by_sha) > 1:
        parts = [
            f"{group[0].dataset['name']} (sha256 {sha[:8]}…, {len(group)} "
            f"run{'s' if len(group) > 1 else ''}, e.g. {group[0].folder.name})"
            for sha, group in by_sha.items()
        ]
        raise ReportError(
            f"{folder} holds runs on different data sets, which cannot be compared: "
            f"{' and '.join(parts)}. Move each into a folder of its own."
        )


def _read_metrics(path: Path) -> dict[str, Series]:
    """The four curves of `metrics.csv`; a line cut short by a crash is passed over."""
    points: dict[str, list[tuple[int, float, float]]] = {"train": [], "test": []}
    if path.is_file():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                try:
                    point = int(row["step"]), float(row["loss"]), float(row["accuracy"])
                except (TypeError, ValueError, KeyError):
                    continue
                if row["split"] in points:
                    points[row["split"]].append(point)
    curves = {}
    for split, found in points.items():
        columns = np.array(found, float).reshape(-1, 3)
        steps = columns[:, 0].astype(int)
        curves[f"{split}_loss"] = (steps, columns[:, 1])
        curves[f"{split}_accuracy"] = (steps, columns[:, 2])
    return curves


def _read_diagnostics(folder: Path) -> dict[str, dict[str, Series]]:
    """The diagnostics of all inspections, by kind, then by layer in order of depth."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for path in sorted(folder.glob("step-*.npz")):
        try:
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays.files:
                    layer, _, kind = name.rpartition("/")
                    if kind in DIAGNOSTICS:
                        point = int(path.stem.removeprefix("step-")), float(arrays[name])
                        found.setdefault(kind, {}).setdefault(layer, []).append(point)
        except UNREADABLE:
            continue
    return {
        kind: {
            layer: (np.array([s for s, _ in points]), np.array([v for _, v in points]))
            for layer, points in layers.items()
        }
        for kind, layers in found.items()
    }


def _is_locked(folder: Path) -> bool:
    """Whether a process on this machine holds the run's lock."""
    try:
        with (folder / runs.LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _last(series: Series) -> float:
    return float(series[1][-1]) if len(series[1]) else math.nan


def _word(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')} {as_word(value)}"
