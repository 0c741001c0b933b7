"""Means and spreads over several seeds, and the ranks of a leader board."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from experiments.report.differences import CONFIDENCE, Difference, Scores, differences

NO_VALUE = "–"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
# With fewer test images, one image is more than 0.02 %, so a second decimal has no meaning.
TWO_DECIMALS_FROM = 5_000

T = TypeVar("T")


@dataclass(frozen=True)
class Rank:
    """The rank of one entry of a leader board, as a range.

    Attributes:
        first, last: the best and the worst possible rank, from 1; None if no run has finished.
    """

    first: int | None
    last: int | None

    @property
    def open(self) -> bool:
        """Whether several ranks are possible."""
        return self.first != self.last

    def __str__(self) -> str:
        """The text in a leader board: "1", "1–3" for a range, or a dash."""
        if self.first is None:
            return NO_VALUE
        return f"{self.first}–{self.last}" if self.open else str(self.first)


def ranges_text(ranks: Iterable[Rank]) -> str:
    """What a range of ranks means, with the first range of a leader board; "" without a range."""
    example = next((rank for rank in ranks if rank.open), None)
    if example is None:
        return ""
    return (
        f"A rank such as {example} is a range. These runs cannot show which of the ranks "
        f"{example.first} to {example.last} is the true one. With about {100 * CONFIDENCE:.0f} % "
        "confidence, the true rank of every combination is within its range."
    )


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean (NaN without values) and the sample standard deviation (None below two values)."""
    if not values:
        return math.nan, None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def accuracy_text(accuracies: Sequence[float], test_images: int) -> str:
    """Mean ± sample standard deviation, e.g. "98.40 ± 0.20 %"; no ± for one run, a dash for none.

    Args:
        accuracies: the accuracies of the finished runs of one combination, from 0 to 1.
        test_images: the number of test images, which decides the number of decimals.
    """
    if not accuracies:
        return NO_VALUE
    mean, spread = mean_and_spread(accuracies)
    decimals = 2 if test_images >= TWO_DECIMALS_FROM else 1
    shown = [f"{100 * value:.{decimals}f}" for value in (mean, spread) if value is not None]
    return f"{' ± '.join(shown)} %"


def seeds_text(num_done: int, states: Sequence[str]) -> str:
    """The number of finished runs of a combination, e.g. "3" or "2 of 3 (1 diverged)".

    Args:
        num_done: the number of runs that count as finished.
        states: the states of all runs of the combination, e.g. "done" or "diverged".
    """
    text = str(num_done) if num_done == len(states) else f"{num_done} of {len(states)}"
    others = Counter(state for state in states if state != "done")
    if others:
        text += f" ({', '.join(f'{count} {state}' for state, count in others.items())})"
    return text


def ranking(
    entries: Iterable[T], scores_of: Callable[[T], Scores], test_images: int
) -> list[tuple[Rank, T]]:
    """Ranks the entries of a leader board, see `rank`.

    Args:
        entries: what to rank, e.g. combinations; entries with equal means keep this order.
        scores_of: returns the results of an entry.
        test_images: the number of test images.

    Returns:
        Each entry with its rank, the highest mean accuracy first. Entries without a finished run
        come last.
    """
    entries = list(entries)
    scores = [scores_of(entry) for entry in entries]
    found = differences(scores, test_images)
    return [(each, entries[number]) for each, number in rank(scores, found)]


def rank(
    scores: Sequence[Scores], found: Mapping[tuple[int, int], Difference]
) -> list[tuple[Rank, int]]:
    """The rank of each result with its position in `scores`, the highest mean accuracy first.

    The rank of an entry is a range. All clearly better entries have a rank before it, and all
    clearly worse entries have a rank after it. The ranges are simultaneous confidence intervals for
    the true ranks (Mohamad, Goeman, van Zwet, 2021, "Simultaneous confidence intervals for ranks").

    Args:
        found: the differences of all pairs, see `differences`.
    """
    order = sorted(
        range(len(scores)),
        key=lambda number: -scores[number].mean if scores[number].accuracies else math.inf,
    )
    finished = sum(1 for each in scores if each.accuracies)
    ranked = []
    for number in order:
        clear = [d.value for (one, _), d in found.items() if one == number and d.clear]
        better, worse = sum(value < 0 for value in clear), sum(value > 0 for value in clear)
        known = (
            Rank(better + 1, finished - worse) if scores[number].accuracies else Rank(None, None)
        )
        ranked.append((known, number))
    return ranked
