"""Reads all runs of a folder for a report. No TensorFlow."""

from __future__ import annotations

import csv
import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.report.data import TUNING, UNREADABLE, Comparison, ReportError, Run
from experiments.report.grouping import combine
from lenet.diagnosis import Record, Series, options_of
from lenet.diagnostics import DIAGNOSTICS
from lenet.recording import runs
from lenet.recording.projector import LABELS

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
            except UNREADABLE as error:
                notes.append(f"{entry.name} is left out: {error}")
        elif (entry / runs.STATUS).is_file():
            reason = _read_json(entry / runs.STATUS).get("error") or "no reason was recorded"
            notes.append(f"{entry.name} failed before training began: {reason}")
    if not readable:
        detail = f" ({notes[0]})" if notes else ""
        raise ReportError(
            f"There are no runs in {folder}{detail}. Give the folder of a grid, "
            "e.g. summary_logs/demo."
        )
    _check_one_dataset(folder, readable)
    return Comparison(folder, combine(readable), _read_json(folder / GRID), tuple(notes))


def read_run(folder: Path) -> Run:
    """Reads one run, finished or not.

    Raises:
        ValueError: its `config.json` is damaged.
    """
    saved, dataset = runs.read_config(folder)
    size = int(dataset.get("train") or 1)
    images = size + int(dataset.get("validation") or 0)
    config = saved.resolved(images)  # An older run may lack an option.
    environment = _read_json(folder / runs.CONFIG).get("environment", {})
    status = _read_json(folder / runs.STATUS)
    state = status.get("state", "unknown")
    if state == "running" and not _is_locked(folder):
        state = "stopped"
    curves = _read_metrics(folder / runs.METRICS)
    diagnostics = _read_diagnostics(folder / runs.INSPECTIONS)
    sizes, units = _read_layers(folder / runs.INSPECTIONS)
    batch = int(config.batch_size or 1)
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
        diagnostics=diagnostics,
        kernel_sizes=sizes,
        units=units,
        train_images=images,
        test_images=int(dataset.get("test") or 0),
        only_answer=_only_answer(folder) if state == "done" else "",
        validation_loss=curves["validation_loss"],
        validation_accuracy=curves["validation_accuracy"],
        best_step=status.get("best_step"),
        **options_of(config),
    )
    return Run(folder, config, dataset, environment, status, state, record)


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
        raise ReportError(
            f"{folder} contains runs on different data sets, which cannot be compared: "
            f"{' and '.join(parts)}. Move the runs of each data set to a separate folder."
        )


def _read_metrics(path: Path) -> dict[str, Series]:
    """The curves of `metrics.csv`. A line that is incomplete after a crash is skipped."""
    points: dict[str, list[tuple[int, float, float]]] = {
        "train": [],
        "test": [],
        "validation": [],
    }
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
    for split, measured in points.items():
        columns = np.array(measured, float).reshape(-1, 3)
        steps = columns[:, 0].astype(int)
        curves[f"{split}_loss"] = (steps, columns[:, 1])
        curves[f"{split}_accuracy"] = (steps, columns[:, 2])
    return curves


def _read_diagnostics(folder: Path) -> dict[str, dict[str, Series]]:
    """The diagnostics of all inspections, by kind and then by layer, in order of depth."""
    points: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for path in sorted(folder.glob("step-*.npz")):
        try:
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays.files:
                    layer, _, kind = name.rpartition("/")
                    if kind in DIAGNOSTICS:
                        point = int(path.stem.removeprefix("step-")), float(arrays[name])
                        points.setdefault(kind, {}).setdefault(layer, []).append(point)
        except UNREADABLE:
            continue
    return {
        kind: {
            layer: (np.array([s for s, _ in series]), np.array([v for _, v in series]))
            for layer, series in layers.items()
        }
        for kind, layers in points.items()
    }


def _read_layers(folder: Path) -> tuple[dict[str, float], dict[str, int]]:
    """By layer: the L2 norm of the kernel at the first inspection, and the number of units."""
    sizes, units = {}, {}
    for path in sorted(folder.glob("step-*.npz"))[:1]:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays.files:
                    layer, _, kind = name.rpartition("/")
                    if kind == "kernel":
                        sizes[layer] = float(np.linalg.norm(arrays[name]))
                    elif kind == "bias":
                        units[layer] = int(arrays[name].size)
        except UNREADABLE:
            continue
    return sizes, units


def _only_answer(folder: Path) -> str:
    """The class that the network predicts for all test images in the projector's table, or ""."""
    try:
        with (folder / "test" / LABELS).open(newline="") as file:
            answers = {row["predicted"] for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, KeyError, csv.Error):
        return ""
    return answers.pop() if len(answers) == 1 else ""


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


def _read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file; {} if it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
