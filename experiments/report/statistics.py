"""Compares accuracies over several seeds: means, spreads, ranks and ties."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
NO_VALUE = "–"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
# With fewer test images, one image is more than 0.02 %, so a second decimal has no meaning.
TWO_DECIMALS_FROM = 5_000

T = TypeVar("T")


@dataclass(frozen=True)
class Rank:
    """The rank of one entry of a leader board.

    Attributes:
        number: the rank, from 1; None if no run has finished.
        shared: whether other entries have the same rank.
    """

    number: int | None
    shared: bool

    def __str__(self) -> str:
        """The text in a leader board: "1", "=1" if the rank is shared, or a dash."""
        if self.number is None:
            return NO_VALUE
        return f"={self.number}" if self.shared else str(self.number)


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


def supported(better: Sequence[float], worse: Sequence[float]) -> bool | None:
    """Whether two means differ by more than the spread over seeds explains.

    The difference must be larger than the half-width of its 95 % confidence interval (Welch's t).
    If one side has only one seed, the spread of the other side is used for both.

    Returns:
        None if neither side has a spread.
    """
    known = [float(np.var(values, ddof=1)) for values in (better, worse) if len(values) > 1]
    if not known or not better or not worse:
        return None
    both = known if len(known) == 2 else known * 2
    parts = [variance / len(v) for variance, v in zip(both, (better, worse), strict=True)]
    difference, total = float(np.mean(better) - np.mean(worse)), sum(parts)
    if total == 0:
        return difference > 0
    if len(known) == 2:
        pairs = zip(parts, (better, worse), strict=True)
        freedom = total**2 / sum(part**2 / (len(v) - 1) for part, v in pairs)
    else:
        freedom = max(len(better), len(worse)) - 1
    half_width = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(total)
    return difference > half_width


def ranking(
    entries: Iterable[T], accuracies_of: Callable[[T], Sequence[float]]
) -> list[tuple[Rank, T]]:
    """Ranks the entries of a leader board by mean test accuracy.

    An entry ties with the best entry of a rank, and shares that rank, if `supported` finds no
    difference between them. With one seed each, only equal accuracies are a tie.

    Args:
        entries: what to rank, e.g. combinations; entries with equal means keep this order.
        accuracies_of: returns the test accuracies of the finished runs of an entry.

    Returns:
        Rank and entry, the best first; entries without a finished run come last.
    """
    pairs = [(entry, accuracies_of(entry)) for entry in entries]
    ordered = sorted(pairs, key=lambda pair: -(np.mean(pair[1]) if pair[1] else -1))
    numbers: list[int | None] = []
    leading: Sequence[float] = ()
    for position, (_, accuracies) in enumerate(ordered, start=1):
        if not accuracies:
            numbers.append(None)
        elif numbers and _tied(leading, accuracies):
            numbers.append(numbers[-1])
        else:
            leading = accuracies
            numbers.append(position)
    return [
        (Rank(number, number is not None and numbers.count(number) > 1), entry)
        for number, (entry, _) in zip(numbers, ordered, strict=True)
    ]


def _tied(leading: Sequence[float], accuracies: Sequence[float]) -> bool:
    differ = supported(leading, accuracies)
    return list(leading) == list(accuracies) if differ is None else not differ
