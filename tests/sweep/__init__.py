"""Proves what the programs promise about faults, one row of `docs/reliability.md` per module.

Every module here without a leading underscore is one row. It defines

    FAULT = "corrupt checkpoint"                      what goes wrong
    PROMISE = "The newest valid checkpoint is used …"   what holds nevertheless, in one or two sentences
    SAMPLE = 20                                       how many trials the default tests make (optional)
    def trials(folder: Path) -> Iterable[Trial]: …    makes all trials; `folder` is empty and its own

`trials` seeds its own random numbers, so that a sweep can be repeated. It may prepare things, e.g.
train a run, before it yields the first trial.

    python -m tests.sweep                     every row in full, then the page
    python -m tests.sweep corrupt_checkpoint  one row in full, then the page
    python -m tests.sweep --seconds 60 ROW    what can be tried in a minute, then the page
    python -m tests.sweep --quick             a sample of each row, without the page
    python -m tests.sweep --page              only the page, from the stored results

The results of a row are stored next to its module, in `<row>.json`.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Unavailable(Exception):
    """The trials of a row cannot be made on this computer. The message says why."""


@dataclass(frozen=True)
class Trial:
    """One fault.

    Attributes:
        name: what is done, e.g. "model.npz without its last byte".
        run: makes the fault and checks the promise. Any exception means that it was broken.
        slow: it starts processes that load TensorFlow, and is left out of the default tests.
    """

    name: str
    run: Callable[[], None]
    slow: bool = False


@dataclass(frozen=True)
class Row:
    """One kind of fault: a module of this package."""

    name: str
    fault: str
    promise: str
    sample: int
    trials: Callable[[Path], Iterable[Trial]]


@dataclass
class Outcome:
    """The result of some trials of one row.

    Attributes:
        trials: how many were made.
        planned: how many there are.
        seconds: what they took, with their preparation.
        failures: the name of each trial that broke the promise, with the reason.
    """

    trials: int = 0
    planned: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def rows() -> dict[str, Row]:
    """All rows by name."""
    names = [module.name for module in pkgutil.iter_modules([str(HERE)])]
    modules = {
        name: importlib.import_module(f"{__name__}.{name}")
        for name in sorted(names)
        if not name.startswith("_")
    }
    return {
        name: Row(name, module.FAULT, module.PROMISE, getattr(module, "SAMPLE", 10), module.trials)
        for name, module in modules.items()
    }


def run(row: Row, folder: Path, sample: bool = False, seconds: float | None = None) -> Outcome:
    """Makes the trials of a row.

    Args:
        folder: an empty folder for the trials.
        sample: make only `row.sample` trials, always the same ones, spread over all.
        seconds: make trials, in a random order, only until this time has passed.

    Raises:
        Unavailable: this computer cannot make the trials.
    """
    outcome, started = Outcome(), time.perf_counter()
    trials = list(row.trials(folder))
    outcome.planned = len(trials)
    chosen = _sample([t for t in trials if not t.slow], row.sample) if sample else trials
    if seconds is not None:
        chosen = random.Random(0).sample(trials, len(trials))
    for trial in chosen:
        if seconds is not None and time.perf_counter() - started > seconds:
            break
        outcome.trials += 1
        try:
            trial.run()
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            outcome.failures.append(f"{trial.name}: {type(error).__name__}: {error} ({where})")
    outcome.seconds = time.perf_counter() - started
    return outcome


def _sample(trials: list[Trial], count: int) -> Iterator[Trial]:
    chosen = random.Random(0).sample(range(len(trials)), min(count, len(trials)))
    return (trials[i] for i in sorted(chosen))
