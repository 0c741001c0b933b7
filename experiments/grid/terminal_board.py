"""The leader board that a grid prints, ranked and formatted as in the report."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.combinations import without_seed
from experiments.grid.jobs import Outcome
from experiments.report.statistics import accuracy_text, ranking, seeds_text

HEADINGS = ("rank", "combination", "test accuracy", "learning rate", "seeds")
ALIGNMENT = "><>><"
TIE = "= marks a tie: these runs cannot show which of the tied combinations is better."


def leader_board(outcomes: Sequence[Outcome], test_images: int) -> str:
    """The leader board as lines of text, the best combination first.

    Args:
        outcomes: the outcomes of all runs of the grid.
        test_images: the number of test images.
    """
    combinations: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        combinations.setdefault(without_seed(outcome.config), []).append(outcome)
    accuracies = {name: accuracies_when_done(each) for name, each in combinations.items()}
    ranked = ranking(combinations, lambda name: accuracies[name])
    rows: list[Sequence[str]] = [HEADINGS]
    for rank, name in ranked:
        members = combinations[name]
        seeds = seeds_text(len(accuracies[name]), [member.state for member in members])
        accuracy = accuracy_text(accuracies[name], test_images)
        rows.append([str(rank), name, accuracy, f"{members[0].config.learning_rate:g}", seeds])
    lines = _aligned(rows)
    if any(rank.shared for rank, _ in ranked):
        lines.append(TIE)
    return "\n".join(lines)


def accuracies_when_done(outcomes: Sequence[Outcome]) -> list[float]:
    """The test accuracies, from 0 to 1, of the runs that are done."""
    return [
        outcome.test_accuracy
        for outcome in outcomes
        if outcome.state == "done" and outcome.test_accuracy is not None
    ]


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
