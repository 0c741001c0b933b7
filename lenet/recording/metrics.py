"""Reads and mends `metrics.csv`: rows of step, epoch, split, loss and accuracy.

A power failure can leave zeros or half a row. The event files contain the same numbers, so rows that
are lost can be rebuilt from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lenet import files, reading
from lenet.recording import events, runs

Row = tuple[int, int, str, float, float]
MAXIMUM_BYTES = 2_000_000_000
SPLITS = ("train", "test", "validation")  # In the order of writing at one step.


def read(path: Path) -> tuple[list[Row], int]:
    """Reads all complete rows.

    Returns:
        The rows, and the number of other lines, without the header and without an incomplete last
        line, which a process may still be writing.

    Raises:
        OSError: the file is missing or cannot be opened.
        ValueError: it is not a file.
    """
    lines = reading.read_bytes(path, MAXIMUM_BYTES).decode(errors="replace").split("\n")[:-1]
    rows = [row for line in lines if (row := _row(line)) is not None]
    has_header = lines[:1] == [",".join(runs.METRICS_HEADER)]
    return rows, len(lines) - len(rows) - has_header


def mend(
    run: Path,
    step: int,
    evaluations: Mapping[str, Sequence[tuple[int, float, float]]],
    epoch_of: Callable[[int], int],
) -> str:
    """Removes the rows after a step, and rebuilds lost ones from the event files.

    Args:
        evaluations: by split, step, loss and accuracy of all evaluations up to that step.
        epoch_of: returns the epoch of a step.

    Returns:
        What was damaged and rebuilt, in one sentence; "" if nothing was.

    Raises:
        OSError: the file cannot be written.
        ValueError: the path is not a file.
    """
    path = run / runs.METRICS
    found, damaged = read(path) if path.exists() else ([], 0)
    rows = {(row[0], row[2]): row for row in found if row[0] <= step}
    rebuilt = 0
    for row in _recorded(run, step, evaluations, epoch_of):
        if rows.get((row[0], row[2])) != row:
            rows[row[0], row[2]] = row
            rebuilt += 1
    if path.exists() or rows:
        ordered = sorted(rows.values(), key=lambda row: (row[0], SPLITS.index(row[2])))
        lines = [",".join(runs.METRICS_HEADER), *(",".join(map(str, row)) for row in ordered)]
        files.write(path, "\n".join(lines) + "\n")
    if not rebuilt and not damaged:
        return ""
    return (
        f"{path} was damaged: {damaged:,} lines could not be read, and {rebuilt:,} rows were "
        "rebuilt from the event files."
    )


def _recorded(
    run: Path,
    step: int,
    evaluations: Mapping[str, Sequence[tuple[int, float, float]]],
    epoch_of: Callable[[int], int],
) -> list[Row]:
    """The rows up to a step, from the event files of training and from the evaluations."""
    rows: list[Row] = [
        (at, epoch_of(at), split, loss, hits)
        for split, measured in evaluations.items()
        for at, loss, hits in measured
    ]
    try:
        scalars = events.read_scalars(run / "train", ("loss", "accuracy"))
    except (OSError, ValueError):  # The event files are damaged too.
        return rows
    if not {"loss", "accuracy"} <= scalars.keys():
        return rows
    steps, losses = scalars["loss"]
    matching, accuracies = scalars["accuracy"]
    if np.array_equal(steps, matching):
        values = zip(steps.tolist(), losses.tolist(), accuracies.tolist(), strict=True)
        rows += [(at, epoch_of(at), "train", loss, hits) for at, loss, hits in values if at <= step]
    return rows


def _row(line: str) -> Row | None:
    """The values of one line; None if it is not a complete row."""
    try:
        step, epoch, split, loss, accuracy = line.split(",")
        row = int(step), int(epoch), split, float(loss), float(accuracy)
    except ValueError:
        return None
    return row if split in SPLITS and 0 <= row[0] < 2**63 else None
