"""Every file of a run or a grid is damaged, for each program that reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from experiments.grid.__main__ import main as grid
from experiments.report.__main__ import main as report
from lenet import train, visualize
from lenet.live.__main__ import main as live

from . import Trial, _corrupt, _programs

FAULT = (
    "A file of a run or a grid is cut off, emptied, replaced, of a different kind, or contains values "
    "of a wrong type: config.json, status.json, metrics.csv, event files, inspections, "
    "predictions.npz, grid.json"
)
PROMISE = (
    "Each program that reads the file continues with a message, or ends with one line that names the "
    "file or its run. It never shows a traceback."
)
SAMPLE = 8
WRONG_VALUES = 60
GRID = "--dataset digits --max-steps 4 --inspect-every 2 --activations relu --seeds 0 --workers 0"


def trials(folder: Path) -> Iterator[Trial]:
    """Each damage of each file, for each program."""
    run = _programs.make_run(folder)
    runs = (
        ("resume", train.main, ("--resume", "RUN", "--quiet", "--max-steps", "6")),
        ("visualize", visualize.main, ("RUN", "--only", "learning_curves")),
        ("live", live, ("RUN", "--no-open")),
    )
    for program, main, arguments in runs:
        yield from _named(program, folder, run, main, arguments, _corrupt.FILES)
    words = [*GRID.split(), "--optimizers", "sgd", "--logdir", str(folder), "--name", "grid"]
    assert _programs.call(grid, *words).code == 0
    files = {name: f"relu-sgd-seed0/{pattern}" for name, pattern in _corrupt.FILES.items()}
    files |= {"grid.json": "grid.json", "predictions": "relu-sgd-seed0/predictions.npz"}
    yield from _named("report", folder, folder / "grid", report, ("RUN",), files)


def _named(
    program: str,
    folder: Path,
    run: Path,
    main: _programs.Main,
    arguments: tuple[str, ...],
    files: dict[str, str],
) -> Iterator[Trial]:
    for trial in _corrupt.trials(folder, run, main, arguments, files, WRONG_VALUES):
        yield dataclasses.replace(trial, name=f"{program}, {trial.name}")
