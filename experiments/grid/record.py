"""Writes `grid.json`: the command and options of a grid, for its report and for repeating it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.combinations import VARIABLE
from experiments.grid import tuning
from experiments.report.reading import GRID
from lenet import files
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset
from lenet.training.runtime import cpu_model

PACKAGES = ("tensorflow", "keras", "numpy", "tensorboard", "distributed")


def write(
    folder: Path,
    command: str,
    dataset: Dataset,
    lists: Mapping[str, Sequence[Any]],
    configs: Sequence[TrainConfig],
    choice: dict[str, Any] | None,
    workers: int,
) -> None:
    """Writes a grid's `grid.json`.

    Args:
        folder: the grid's folder.
        command: the command that repeats the grid.
        lists: the values of each option that can be compared.
        configs: one config per run, resolved, with tuned learning rates.
        choice: the result of `tuning.choose`, or None without tuning.
        workers: the number of runs that are trained in parallel; 0 if a running cluster decides it.

    Raises:
        OSError: the file cannot be written.
    """
    shared = {name: value for name, value in configs[0].to_json().items() if name not in VARIABLE}
    del shared["run_name"], shared["resume"]
    tuned = {"held_out": tuning.HELD_OUT, "seed": configs[0].seed, "combinations": choice}
    content = {
        "command": command,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "dataset": {"name": dataset.name, "sha256": dataset.sha256},
        "options": {**{name: list(values) for name, values in lists.items()}, **shared},
        "combinations": [
            {"folder": config.run_name, **{name: getattr(config, name) for name in VARIABLE}}
            for config in configs
        ],
        "tuning": choice and tuned,
        "workers": workers,
        "repository": _repository(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "cpu_model": cpu_model(),
        "cpus": os.cpu_count(),
    }
    files.write_json(folder / GRID, content)


def _repository() -> str:
    """The Git commit of this program, with a note if files were changed; "" if it is unknown."""
    described = ["git", "describe", "--always", "--long", "--dirty= (with changes)", "--abbrev=12"]
    try:
        result = subprocess.run(
            described,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
