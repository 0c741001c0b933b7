"""The leader board of a report: its columns, cells, and how it is to be read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.report.data import Combination, Comparison
from experiments.report.diagnosis import verdicts
from experiments.report.statistics import mean_and_spread, ranking

NO_VALUE = "–"


@dataclass(frozen=True)
class Column:
    """One column of the leader board; `first` is the order that the first click sorts by."""

    name: str
    title: str
    first: str = "ascending"
    numeric: bool = True


COLUMNS = (
    Column("rank", "ties share a rank and are marked ="),
    Column("combination", "activation · optimizer", numeric=False),
    Column("test accuracy", "at the end, mean and standard deviation over seeds", "descending"),
    Column("test loss", "at the end, in nats, mean over seeds"),
    Column("learning rate", "size of the updates"),
    Column("seconds per epoch", "training, evaluation and logging"),
    Column("epochs to 95\N{NO-BREAK SPACE}%", "until an evaluation first gave 95 % test accuracy"),
    Column("epochs to 98\N{NO-BREAK SPACE}%", "until an evaluation first gave 98 % test accuracy"),
    Column("seeds", "finished runs", "descending"),
    Column("diagnosis", "what the rules found", numeric=False),
)


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by ("" stays below)."""

    text: str
    value: str


@dataclass(frozen=True)
class Row:
    """One combination, and a cell for each column."""

    combination: Combination
    cells: Sequence[Cell]


def _cells(
    comparison: Comparison, rank: int | None, shared: bool, combination: Combination
) -> list[Cell]:
    accuracy, _ = mean_and_spread(combination.values("test_accuracy"))
    loss, _ = mean_and_spread(combination.values("test_loss"))
    seconds, _ = mean_and_spread(combination.values("seconds_per_epoch"))
    rates = sorted({run.config.learning_rate or 0 for run in combination.runs})
    done, count = len(combination.done), len(combination.runs)
    states = Counter(run.state for run in combination.runs if run.state != "done")
    seeds = str(done) if done == count else f"{done} of {count}"
    if states:
        seeds += f" ({', '.join(f'{n} {state}' for state, n in states.items())})"
    return [
        Cell(NO_VALUE if rank is None else f"{'=' if shared else ''}{rank}", _value(rank)),
        Cell(combination.label, combination.label),
        Cell(accuracy_shown(comparison, combination), _value(accuracy)),
        _number(loss, "{:.3f}"),
        Cell(" or ".join(f"{rate:g}" for rate in rates), _value(rates[0])),
        _number(seconds, "{:.1f}"),
        *(_reached(combination, threshold) for threshold in (0.95, 0.98)),
        Cell(seeds, str(done)),
        Cell(", ".join(verdicts(combination)), ", ".join(verdicts(combination))),
    ]


def accuracy_shown(comparison: Comparison, combination: Combination) -> str:
    """Mean ± standard deviation; what a run had reached so far where none has finished."""
    mean, spread = mean_and_spread(combination.values("test_accuracy"))
    digits = 2 if comparison.dataset.get("test", 0) >= 5_000 else 1
    if math.isnan(mean):
        so_far = [run.test_accuracy for run in combination.runs if run.state == "running"]
        so_far = [value for value in so_far if math.isfinite(value)]
        return f"{100 * so_far[0]:.{digits}f} % so far" if so_far else NO_VALUE
    if spread is None:
        return f"{100 * mean:.{digits}f} %"
    return f"{100 * mean:.{digits}f} ± {100 * spread:.{digits}f} %"


def epochs_to(combination: Combination, threshold: float) -> tuple[float, bool]:
    """Mean epochs of those runs that got there, and whether all did."""
    reached = [run.epochs_to(threshold) for run in combination.done]
    times = [value for value in reached if math.isfinite(value)]
    return mean_and_spread(times)[0], bool(times) and len(times) == len(reached)


def _reached(combination: Combination, threshold: float) -> Cell:
    mean, all_of_them = epochs_to(combination, threshold)
    if math.isnan(mean):
        return Cell(NO_VALUE, "")
    if all_of_them:
        return Cell(f"{mean:.3g}", _value(mean))
    count = sum(math.isfinite(run.epochs_to(threshold)) for run in combination.done)
    return Cell(f"{mean:.3g} ({count} of {len(combination.done)})", _value(mean))


def caption(comparison: Comparison) -> str:
    """How the leader board is to be read, and by which rule there are ties."""
    caption = "Click a heading to sort. "
    if comparison.most_seeds > 1:
        caption += (
            "± is the standard deviation over seeds. Combinations marked = share a rank: their "
            "difference to the best of that rank is smaller than the half width of its 95 % "
            "interval (Welch's t) over the seeds, so these runs do not tell which is better. With "
            "few seeds that interval is wide. "
        )
    caption += (
        "Accuracy is looked at when a run evaluates, by default once an epoch, so epochs to 95 % "
        "and 98 % are as coarse as that; a dash means not reached. Seconds per epoch include "
        "evaluation and logging and compare only between runs made side by side in the same way."
    )
    return caption


def _value(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else repr(number)


def _number(number: float, form: str) -> Cell:
    return Cell(NO_VALUE if math.isnan(number) else form.format(number), _value(number))


def board(comparison: Comparison) -> list[Row]:
    """All rows, the best combination first."""
    return [
        Row(combination, _cells(comparison, rank, shared, combination))
        for rank, shared, combination in ranking(comparison.combinations)
    ]
