"""The results of the benchmark with its machine and versions, as JSON and as lines of text."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from experiments.bench.rounds import Answer
from lenet.training.runtime import cpu_model

PACKAGES = ("tensorflow", "keras", "numpy", "torch")


def new(command: str, quick: bool, settings: dict[str, Any]) -> Answer:
    """New results without any part: command, date, machine and versions."""
    return {
        "command": command,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "quick": quick,
        "settings": settings,
        "processor": cpu_model(),
        "cpus": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "parts": {},
        "refused": [],
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def environment(results: Answer) -> str:
    """One line about the machine and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{results['processor']}, {results['cpus']} processors, "
        f"load {results['load_average'][0]:.1f} at the start; "
        f"Python {results['python']}, {versions}"
    )


def lines(part: Answer) -> Iterator[str]:
    """The lines that are printed for one part: speeds, ratios, notes."""
    rows = [(_label(each, "contestant"), _values(each)) for each in part["measurements"]]
    yield from _aligned(rows)
    if part["ratios"]:
        yield "  ratios of the rounds: median (minimum to maximum)"
    rows = [
        (
            _label(ratio, "title"),
            f"{ratio['median']:.2f} ({ratio['minimum']:.2f} to {ratio['maximum']:.2f})",
        )
        for ratio in part["ratios"]
    ]
    yield from _aligned(rows)
    for note in part["notes"]:
        yield f"  {note}"


def in_order(entries: Sequence[Answer], key: str) -> list[str]:
    """The different values of a key, in the order in which they first occur."""
    return list(dict.fromkeys(entry[key] for entry in entries))


def _label(entry: Answer, name: str) -> str:
    """The settings of a line, followed by its contestant or title."""
    return f"{entry['setting']}: {entry[name]}" if "setting" in entry else entry[name]


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Aligns labels and values in two columns."""
    width = max((len(label) for label, _ in rows), default=0)
    for label, values in rows:
        yield f"  {label:{width}}  {values}"


def _values(measurement: Answer) -> str:
    """The numbers of one contestant, as medians over its rounds."""
    if "values" in measurement:
        decimals = {"s": 2, "ms": 1}.get(measurement["unit"], 0)
        low, middle, high = (
            f"{measurement[key]:,.{decimals}f}" for key in ("minimum", "median", "maximum")
        )
        return f"{middle} {measurement['unit']} ({low} to {high})"
    answers = measurement["answers"]
    peak = max(answer["peak_mb"] for answer in answers)
    if "train_seconds" not in answers[0]:
        seconds = _median(answers, "seconds")
        return f"{seconds:8.1f} s {peak:10,.0f} MB at most"
    counted = answers[1:]  # The first epoch was the warm-up.
    speed = counted[0]["images"] / _median(counted, "train_seconds")
    return (
        f"{speed:10,.0f} images/s{_median(counted, 'epoch_seconds'):8.2f} s per epoch"
        f"{peak:10,.0f} MB at most, loss {answers[-1]['loss']:.4f}"
    )


def _median(answers: Sequence[Answer], key: str) -> float:
    return statistics.median(answer[key] for answer in answers)
