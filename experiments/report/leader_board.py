"""The leader board of a report: its columns, what their cells show, and how to read them.

To add a column, add an entry to `COLUMNS` with the function that returns its cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from experiments.report.data import TARGETS, Combination, Comparison, Run, seed_list
from experiments.report.diagnosis import verdicts
from experiments.report.statistics import (
    NO_BREAK_SPACE,
    NO_VALUE,
    Rank,
    accuracy_text,
    mean_and_spread,
    ranges_text,
    seeds_text,
)
from lenet.diagnosis import loss_text, percent
from lenet.option_checks import join

SECONDS, UNUSUAL = "seconds per epoch", 3.0


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and the value by which it is sorted ("" always comes last)."""

    text: str
    value: str


@dataclass(frozen=True)
class Column:
    """One column of the leader board.

    Attributes:
        name, title: the heading, and its tooltip.
        cell: the function that returns the cell of one combination, given its rank and runs.
        first_order: the order after the first click, "ascending" or "descending".
        numeric: whether cells are numbers, which are aligned to the right.
        is_heading: whether its cells are the headings of the rows.
    """

    name: str
    title: str
    cell: Callable[[Rank, Combination], Cell]
    first_order: str = "ascending"
    numeric: bool = True
    is_heading: bool = False


@dataclass(frozen=True)
class Row:
    """One combination with its columns and cells."""

    combination: Combination
    cells: Sequence[tuple[Column, Cell]]


def board_columns(comparison: Comparison) -> list[Column]:
    """The columns, without that about early stopping if no run has used it."""
    return [column for column in COLUMNS if comparison.stopped_early or column.cell is not _kept]


def board_rows(comparison: Comparison) -> list[Row]:
    """All rows, the best combination first."""
    columns, marked = board_columns(comparison), {c.number for c, _ in unusual_times(comparison)}
    rows = []
    for rank, combination in ranked(comparison):
        cells = [(column, column.cell(rank, combination)) for column in columns]
        if combination.number in marked:
            cells = [
                (column, replace(cell, text=f"{cell.text} *") if column.name == SECONDS else cell)
                for column, cell in cells
            ]
        rows.append(Row(combination, cells))
    return rows


def unusual_times(comparison: Comparison) -> list[tuple[Combination, list[Run]]]:
    """The runs that took much longer than usual, by combination.

    The activation and the optimizer cost little, so runs with the same network and batches should
    take about the same time.
    """
    groups: dict[tuple[Any, ...], list[float]] = {}
    for combination in comparison.combinations:
        for run in combination.done:
            groups.setdefault(_work(run), []).append(run.seconds_per_epoch)
    found = []
    for combination in comparison.combinations:
        slow = [
            run
            for run in combination.done
            if run.seconds_per_epoch > UNUSUAL * median(groups[_work(run)])
        ]
        if slow:
            found.append((combination, slow))
    return found


def _work(run: Run) -> tuple[Any, ...]:
    """The options that decide how much there is to compute in an epoch."""
    config = run.config
    return config.model, config.batch_size, bool(config.augment), config.device


def ranked(comparison: Comparison) -> list[tuple[Rank, Combination]]:
    """The combinations with their ranks, the best first."""
    return comparison.ranked


def board_caption(comparison: Comparison) -> str:
    """How to read the leader board, and what a range of ranks means."""
    targets = " and ".join(map(percent, TARGETS))
    sentences = ["Click a heading to sort by that column."]
    if comparison.most_seeds > 1:
        sentences.append("± is the standard deviation over seeds.")
    if text := ranges_text(rank for rank, _ in ranked(comparison)):
        sentences.append(text)
    sentences.append(
        "Test accuracy is measured only at evaluations, by default once per epoch. The epochs to "
        f"{targets} are therefore no more precise than that. A dash means that the accuracy was "
        "not reached. Seconds per epoch include evaluation and logging. Compare them only between "
        "runs that were trained on the same machine with the same number of workers."
    )
    if slow := unusual_times(comparison):
        usual = median(run.seconds_per_epoch for c in comparison.combinations for run in c.done)
        runs = join([f"{combination.label} ({seed_list(runs)})" for combination, runs in slow])
        sentences.append(
            f"* {runs} took more than {UNUSUAL:g} times as long as other runs with the same network "
            f"and batches (the median of all runs is {usual:.1f} seconds per epoch). Activation "
            "and optimizer change this time only a little. Probably, other programs used the processor "
            "at that time."
        )
    return " ".join(sentences)


def accuracy_shown(combination: Combination) -> str:
    """Mean ± standard deviation; if no run has finished, the accuracy of a run so far."""
    test_images = int(combination.runs[0].dataset.get("test", 0))
    so_far = [run.test_accuracy for run in combination.runs if run.state == "running"]
    so_far = [accuracy for accuracy in so_far if math.isfinite(accuracy)]
    if not combination.values("test_accuracy") and so_far:
        return f"{accuracy_text(so_far[:1], test_images)} so far"
    return accuracy_text(combination.values("test_accuracy"), test_images)


def epochs_to(combination: Combination, accuracy: float) -> tuple[float, int]:
    """Mean epochs to a test accuracy, and the number of finished runs that reached it."""
    epochs = [run.epochs_to(accuracy) for run in combination.done]
    reached = [value for value in epochs if math.isfinite(value)]
    return mean_and_spread(reached)[0], len(reached)


def _rank(rank: Rank, combination: Combination) -> Cell:
    return Cell(str(rank), "" if rank.first is None else str(rank.first))


def _combination(rank: Rank, combination: Combination) -> Cell:
    return Cell(combination.label, combination.label)


def _accuracy(rank: Rank, combination: Combination) -> Cell:
    mean, _ = mean_and_spread(combination.values("test_accuracy"))
    return Cell(accuracy_shown(combination), _sorted_by(mean))


def _loss(rank: Rank, combination: Combination) -> Cell:
    mean, _ = mean_and_spread(combination.values("test_loss"))
    return Cell(NO_VALUE if math.isnan(mean) else loss_text(mean), _sorted_by(mean))


def _seconds(rank: Rank, combination: Combination) -> Cell:
    seconds = combination.values("seconds_per_epoch")
    if not seconds:
        return Cell(NO_VALUE, "")
    return Cell(f"{median(seconds):.1f}", repr(median(seconds)))


def _learning_rate(rank: Rank, combination: Combination) -> Cell:
    rates = sorted({run.config.learning_rate or 0 for run in combination.runs})
    return Cell(" or ".join(f"{rate:g}" for rate in rates), _sorted_by(rates[0]))


def _epochs_to(accuracy: float, rank: Rank, combination: Combination) -> Cell:
    mean, reached = epochs_to(combination, accuracy)
    if not reached:
        return Cell(NO_VALUE, "")
    done = len(combination.done)
    return Cell(f"{mean:.3g}" + (f" ({reached} of {done})" if reached < done else ""), repr(mean))


def _kept(rank: Rank, combination: Combination) -> Cell:
    epochs = [
        (run.record.end / run.record.steps_per_epoch, run.record.step / run.record.steps_per_epoch)
        for run in combination.done
    ]
    if not epochs:
        return Cell(NO_VALUE, "")
    kept, trained = (mean_and_spread(column)[0] for column in zip(*epochs, strict=True))
    return Cell(f"{kept:.3g} of {trained:.3g}", repr(kept))


def _seeds(rank: Rank, combination: Combination) -> Cell:
    done = len(combination.done)
    return Cell(seeds_text(done, [run.state for run in combination.runs]), str(done))


def _diagnosis(rank: Rank, combination: Combination) -> Cell:
    text = verdicts(combination)
    return Cell(text, text)


def _sorted_by(number: float) -> str:
    return "" if math.isnan(number) else repr(number)


COLUMNS = (
    Column(
        "rank",
        "the possible ranks; a range means that these runs cannot show which of its ranks is the "
        "true one",
        _rank,
    ),
    Column("combination", "activation · optimizer", _combination, numeric=False, is_heading=True),
    Column(
        "test accuracy",
        "at the end of training, mean and standard deviation over seeds",
        _accuracy,
        "descending",
    ),
    Column(
        "test loss",
        "at the end of training, in nats, mean over seeds",
        _loss,
    ),
    Column("learning rate", "the factor that scales each update", _learning_rate),
    Column(
        SECONDS,
        "training, evaluation and logging, median over seeds",
        _seconds,
    ),
    *(
        Column(
            f"epochs to {percent(target)}".replace(" %", f"{NO_BREAK_SPACE}%"),
            f"until the first evaluation with a test accuracy of at least {percent(target)}",
            partial(_epochs_to, target),
        )
        for target in TARGETS
    ),
    Column(
        "epochs kept",
        "the epoch whose weights early stopping kept, of the epochs that were trained; mean over "
        "seeds",
        _kept,
    ),
    Column("seeds", "number of finished runs", _seeds, "descending"),
    Column("diagnosis", "what the rules found in the runs", _diagnosis, numeric=False),
)
