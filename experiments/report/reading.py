"""Reads all runs of a folder for a report. No TensorFlow."""

from __future__ import annotations

import contextlib
import fcntl
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from experiments.report.data import TUNING, Comparison, ReportError, Run
from experiments.report.grouping import combine
from lenet import cli, reading
from lenet.diagnosis import Record, Series, options_of
from lenet.recording import inspections, metrics, predictions, runs
from lenet.recording.predictions import Predictions
from lenet.training.schedule import Schedule

Content = TypeVar("Content")

GRID = "grid.json"


def read_comparison(folder: Path | str) -> Comparison:
    """Reads all runs directly in a folder.

    Raises:
        ReportError: the folder contains no runs, or runs on different data sets.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(f"There is no folder {folder}.")
    if (folder / runs.CONFIG).is_file():
        raise ReportError(
            f"{folder} is a single run. Give the folder that contains all runs to compare, "
            f"e.g. {folder.parent}."
        )
    readable, notes = [], []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or entry.name == TUNING:
            continue
        if (entry / runs.CONFIG).is_file():
            try:
                readable.append(read_run(entry))
            except (OSError, ValueError) as error:
                notes.append(f"{entry.name} is left out: {error}")
        elif (entry / runs.STATUS).is_file():
            status = _read(runs.read_status, entry, notes) or {}
            reason = status.get("error") or "no reason was recorded"
            notes.append(f"{entry.name} failed before training began: {reason}")
    if not readable:
        detail = f" ({notes[0]})" if notes else ""
        raise ReportError(
            f"There are no runs in {folder}{detail}. Give the folder of a grid, "
            "e.g. summary_logs/demo."
        )
    _check_one_dataset(folder, readable)
    grid: dict[str, Any] = {}
    if (folder / GRID).exists():
        grid = _read(reading.read_json, folder / GRID, notes) or {}
    return Comparison(folder, combine(readable), grid, tuple(notes))


def read_run(folder: Path) -> Run:
    """Reads one run, finished or not.

    Raises:
        ValueError: its `config.json` is damaged.
    """
    saved, dataset = runs.read_config(folder)
    size = dataset.get("train") or 1
    images = size + (dataset.get("validation") or 0)
    config = saved.resolved(images)  # An older run may lack an option.
    problems: list[str] = []
    environment = reading.read_json(folder / runs.CONFIG).get("environment")
    if not isinstance(environment, dict):
        environment = {}
    network = _read(runs.read_network, folder, problems) or ()
    status = _read(runs.read_status, folder, problems) or {}
    state = status.get("state", "unknown")
    if state == "running" and not _is_locked(folder):
        state = "stopped"
    curves = _read_metrics(folder / runs.METRICS, problems)
    diagnostics, readable = inspections.read_diagnostics(folder / runs.INSPECTIONS, problems)
    sizes, units = _read_layers(readable)
    schedule = Schedule(size, config.batch_size or 1, config.epochs or 1)
    steps = [int(series[0][-1]) for series in curves.values() if len(series[0])]
    step, best = int(status.get("step") or max(steps, default=0)), status.get("best_step")
    classes = dataset["class_names"]
    answers = _read_predictions(folder, len(classes), step if best is None else best, problems)
    record = Record(
        state=state,
        step=step,
        num_classes=len(classes),
        steps_per_epoch=schedule.steps_per_epoch,
        last_batch=schedule.last_batch,
        error=str(status.get("error") or ""),
        train_loss=curves["train_loss"],
        train_accuracy=curves["train_accuracy"],
        test_loss=curves["test_loss"],
        test_accuracy=curves["test_accuracy"],
        diagnostics=diagnostics,
        kernel_sizes=sizes,
        units=units,
        greatest_slopes={
            str(layer["name"]): float(layer["greatest_slope"])
            for layer in network
            if layer.get("greatest_slope")
        },
        train_images=images,
        test_images=dataset.get("test") or 0,
        only_answer=_only_answer(answers, classes) if answers else "",
        validation_loss=curves["validation_loss"],
        validation_accuracy=curves["validation_accuracy"],
        best_step=best,
        **options_of(config),
    )
    return Run(
        folder, config, dataset, environment, status, state, record, readable, problems, network,
        answers,
    )  # fmt: skip


def _check_one_dataset(folder: Path, readable: Sequence[Run]) -> None:
    by_sha: dict[str, list[Run]] = {}
    for run in readable:
        by_sha.setdefault(str(run.dataset["sha256"]), []).append(run)
    if len(by_sha) > 1:
        parts = [
            f"{group[0].dataset['name']} (sha256 {sha[:8]}…, {len(group)} "
            f"run{'s' if len(group) > 1 else ''}, e.g. {group[0].folder.name})"
            for sha, group in by_sha.items()
        ]
        link = shlex.join(["ln", "-s", str(folder.resolve() / "RUN"), "NEW"])
        raise ReportError(
            f"{folder} contains runs on different data sets, which cannot be compared: "
            f"{' and '.join(parts)}. Move the runs of each data set to a separate folder, or make a "
            f"folder with links to some runs: mkdir NEW && {link}"
        )


def _read_metrics(path: Path, problems: list[str]) -> dict[str, Series]:
    """The curves of `metrics.csv`. Damaged lines are skipped."""
    points: dict[str, list[tuple[int, float, float]]] = {split: [] for split in metrics.SPLITS}
    try:
        rows, damaged = metrics.read(path) if path.exists() else ([], 0)
    except (OSError, ValueError) as error:
        rows, damaged = [], 0
        problems.append(str(error))
    if damaged:
        problems.append(f"{path} is damaged: {damaged:,} lines cannot be read.")
    for step, _, split, loss, accuracy in rows:
        points[split].append((step, loss, accuracy))
    curves = {}
    for split, measured in points.items():
        columns = np.array(measured, float).reshape(-1, 3)
        steps = columns[:, 0].astype(int)
        curves[f"{split}_loss"] = (steps, columns[:, 1])
        curves[f"{split}_accuracy"] = (steps, columns[:, 2])
    return curves


def _read_layers(readable: Mapping[int, Path]) -> tuple[dict[str, float], dict[str, int]]:
    """By layer: the L2 norm of the kernel at the first inspection, and the number of units.

    Args:
        readable: the files of the inspections that can be read, by step, in ascending order.
    """
    sizes, units = {}, {}
    for path in list(readable.values())[:1]:
        with contextlib.suppress(OSError, ValueError):
            arrays = inspections.load(path, lambda name: name.endswith(("/kernel", "/bias")))
            for name, array in arrays.items():
                layer, _, kind = name.rpartition("/")
                if kind == "kernel":
                    sizes[layer] = float(np.linalg.norm(array))
                else:
                    units[layer] = array.size
    return sizes, units


def _only_answer(answers: Predictions, class_names: Sequence[str]) -> str:
    """The class that the network predicts for all test images, or ""."""
    predicted = np.unique(answers.predicted)
    return str(class_names[predicted[0]]) if len(predicted) == 1 else ""


def _read_predictions(
    folder: Path, classes: int, end: int, problems: list[str]
) -> Predictions | None:
    """What the network predicts for the test images; None if that was not recorded at the end."""
    try:
        read = predictions.load(folder, classes)
    except (OSError, ValueError) as error:
        problems.append(str(error))
        return None
    return read if read and read.step == end else None


def _is_locked(folder: Path) -> bool:
    """Whether a process on this machine holds the run's lock."""
    try:
        with reading.open_file(folder / runs.LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _read(read: Callable[[Path], Content], path: Path, problems: list[str]) -> Content | None:
    """What a function reads from a path. A damaged file is added to the problems."""
    try:
        return read(path)
    except (OSError, ValueError) as error:
        problems.append(cli.describe(error))
        return None
