"""The leader board that a grid prints, ranked and formatted as in the report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from experiments.combinations import without_seed
from experiments.grid.jobs import Outcome
from experiments.report.differences import Scores
from experiments.report.statistics import accuracy_text, ranges_text, ranking, seeds_text
from lenet.recording import predictions

HEADINGS = ("rank", "combination", "test accuracy", "learning rate", "seeds")
ALIGNMENT = "><>><"


def leader_board(outcomes: Sequence[Outcome], test_images: int) -> str:
    """The leader board as lines of text, the best combination first.

    Args:
        outcomes: the outcomes of all runs of the grid.
        test_images: the number of test images.
    """
    combinations: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        combinations.setdefault(without_seed(outcome.config), []).append(outcome)
    scores = {name: _scores(each) for name, each in combinations.items()}
    ranked = ranking(combinations, lambda name: scores[name], test_images)
    rows: list[Sequence[str]] = [HEADINGS]
    for rank, name in ranked:
        members = combinations[name]
        accuracies = list(scores[name].accuracies.values())
        seeds = seeds_text(len(accuracies), [member.state for member in members])
        accuracy = accuracy_text(accuracies, test_images)
        rows.append([str(rank), name, accuracy, f"{members[0].config.learning_rate:g}", seeds])
    lines = _aligned(rows)
    if text := ranges_text(rank for rank, _ in ranked):
        lines.append(text)
    return "\n".join(lines)


def _scores(outcomes: Sequence[Outcome]) -> Scores:
    """The test results of the runs that are done."""
    accuracies, correct = {}, {}
    for outcome in outcomes:
        if outcome.state == "done" and outcome.test_accuracy is not None:
            accuracies[outcome.config.seed] = outcome.test_accuracy
            with contextlib.suppress(OSError, ValueError):  # The report names damaged files.
                if read := predictions.load(outcome.config.logdir / outcome.name):
                    correct[outcome.config.seed] = read.correct
    return Scores(accuracies, correct)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines. Each column is as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{side}{width}}"
            for cell, side, width in zip(row, ALIGNMENT, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
