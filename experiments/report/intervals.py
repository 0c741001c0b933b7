"""The differences that a report shows, each with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.report.choices import OPTIONS, choices, name_of
from experiments.report.data import Combination, Comparison
from experiments.report.differences import Difference
from experiments.report.leader_board import ranked

MOST_PAIRS = 60  # Per group. More are too many to read, and the ranks show the same result.
# The drawing of an interval: its width and the radius of its point, in its own units.
WIDTH, RADIUS = 200.0, 4.0


@dataclass(frozen=True)
class Interval:
    """One difference, in words and as a drawing.

    Attributes:
        name: what is compared, e.g. "relu · adam − relu · sgd".
        text: the difference in percentage points with its interval.
        verdict: which combination is better, or that the difference is not clear.
        clear: whether the interval excludes 0.
        low, middle, high: positions in the drawing, from 0 to 200. 100 means no difference.
        beyond: -1 or 1 if the whole interval is beyond that end of the drawing, otherwise 0.
    """

    name: str
    text: str
    verdict: str
    clear: bool
    low: float
    middle: float
    high: float
    beyond: int


@dataclass(frozen=True)
class IntervalGroup:
    """Intervals that answer the same question and have the same scale, in percentage points.

    Attributes:
        answers: the answer to the question, in sentences.
    """

    question: str
    intervals: Sequence[Interval]
    reach: float
    answers: Sequence[str] = ()


def interval_groups(comparison: Comparison) -> list[IntervalGroup]:
    """The best combination against all others, and the pairs with the same activation or the same other options."""
    finished = [c for rank, c in ranked(comparison) if rank.first is not None]
    if len(finished) < 2:
        return []
    best = finished[0]
    questions = {
        f"Is {best.label} better than the others?": [(best, other) for other in finished[1:]],
        "Which activation is better, if everything else is the same?": [
            (one, other)
            for one, other in _pairs(finished)
            if one.variant == other.variant and one.activation != other.activation
        ],
        f"Which {name_of(comparison, 'variant')} is better, if the activation is the same?": [
            (one, other) for one, other in _pairs(finished) if one.activation == other.activation
        ],
    }
    answers = [(), *([c.sentence for c in choices(comparison, o)] for o in OPTIONS)]
    groups = []
    for (question, pairs), answer in zip(questions.items(), answers, strict=True):
        known = [
            (one, other, difference)
            for one, other in pairs
            if (difference := comparison.difference(one, other)) is not None
        ]
        if known and len(known) <= MOST_PAIRS:
            groups.append(replace(_group(question, known), answers=answer))
    return groups


def about_noise(comparison: Comparison) -> list[str]:
    """What noise is, and how large a difference must be to be clear, in sentences."""
    finished = [c for rank, c in ranked(comparison) if rank.first is not None]
    images = f"{comparison.test_images:,}"
    sentences = [
        "Noise is the part of a result that depends on chance: with other seeds or other test "
        "images, every accuracy would be slightly different. A difference is clear if it is larger "
        "than the noise."
    ]
    closest = comparison.difference(finished[0], finished[1]) if len(finished) > 1 else None
    if closest is None:
        return sentences
    pair = f"{finished[0].label} and {finished[1].label}"
    needed, left = (100 * half for half in (closest.half_width, closest.from_images))
    number = f"{closest.seeds} seeds" if closest.seeds > 1 else "one seed"
    given = f"with {number} and {images} test images,"
    if needed >= 100:
        sentences.append(f"For example, {given} no difference between {pair} can be clear.")
        return sentences
    sentences.append(
        f"For example, {given} a difference between {pair} must be larger than {needed:.2f} "
        "percentage points to be clear."
    )
    if closest.seeds > 1:
        most = "More seeds reduce this limit"
        if left >= 0.005:  # Otherwise, it would be shown as 0.00.
            most += (
                f", but not below {left:.2f} percentage points: the rest is due to the choice of the "
                f"{images} test images"
            )
        sentences.append(f"{most}.")
    return sentences


def _pairs(finished: Sequence[Combination]) -> list[tuple[Combination, Combination]]:
    """All pairs, the better one first."""
    return [(one, other) for i, one in enumerate(finished) for other in finished[i + 1 :]]


def _group(
    question: str, known: Sequence[tuple[Combination, Combination, Difference]]
) -> IntervalGroup:
    # All differences that are not clear fit into the scale. Large differences may be outside it.
    close = [abs(d.value) + d.half_width for _, _, d in known if not d.clear]
    nearest = min(abs(d.value) + d.half_width for _, _, d in known)
    reach = 1.6 * max([*close, nearest])
    return IntervalGroup(question, [_interval(*each, reach) for each in known], 100 * reach)


def _interval(
    one: Combination, other: Combination, difference: Difference, reach: float
) -> Interval:
    value, half = difference.value, difference.half_width
    least, most = max(-1.0, value - half), min(1.0, value + half)  # Accuracies are from 0 to 1.
    ends = np.array([least, value, most]) / reach
    low, middle, high = ((1 + ends.clip(-1, 1)) * WIDTH / 2).round(1).tolist()
    verdict = "not clear"
    if difference.clear:
        verdict = f"{(one if value > 0 else other).label} is better"
    return Interval(
        f"{one.label} − {other.label}",
        f"{100 * value:+.2f} ({100 * least:+.2f} to {100 * most:+.2f})".replace("-", "−"),
        verdict,
        difference.clear,
        low,
        middle,
        high,
        int(ends[0] > 1) - int(ends[2] < -1),
    )
