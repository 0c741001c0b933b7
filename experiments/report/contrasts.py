"""What happened with another choice: evidence for a diagnosis from the other runs of a study.

Runs with the same seed start from the same weights and use the same batches. If only one choice
differs, and the result is clearly better, then what differs inside can explain why. Only recorded numbers
are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments.report.data import Combination, Comparison, Run
from experiments.report.statistics import accuracy_text
from lenet.diagnosis import (
    EARLY_STEPS,
    NOT_LEARNING,
    compared,
    early_gradients,
    is_blocked,
    percent_of_size,
)

FURTHER, LARGER = 1.5, 3.0  # Smaller factors explain little.


@dataclass(frozen=True)
class Contrast:
    """One number that differs.

    Attributes:
        sentence: the number in both combinations.
        plot: see `Finding.plot`; it is the plot of the other combination.
        other: the combination with the better result.
    """

    sentence: str
    plot: str
    other: Combination


def contrasts(comparison: Comparison, combination: Combination, run: Run) -> list[Contrast]:
    """How one run differs from the best runs with another optimizer, and with another activation.

    Args:
        combination, run: a combination that does not learn well, and one of its runs.

    Returns:
        Nothing if no combination with a better result learns, or if no gradient is left in this
        run: then the sizes of gradients and movements explain nothing.
    """
    if is_blocked(run.record):
        return []
    found = []
    better = [
        other
        for _, other in comparison.ranked
        if (difference := comparison.difference(other, combination)) is not None
        and difference.clear
        and difference.value > 0
        and other.shown.findings[0].rule not in NOT_LEARNING
    ]
    same_activation = [c for c in better if c.activation == combination.activation]
    if same_activation:
        other = same_activation[0]
        words = f"With {other.variant} instead of {combination.variant}"
        found.append(_moved(run, other, words) or _gradient(run, other, words))
    if same_variant := [c for c in better if c.variant == combination.variant]:
        other = same_variant[0]
        words = f"With {other.activation} instead of {combination.activation}"
        found.append(_gradient(run, other, words) or _moved(run, other, words))
    return [contrast for contrast in found if contrast]


def _moved(run: Run, other: Combination, words: str) -> Contrast | None:
    """The layer whose kernel moved much further in the other combination."""
    own, theirs = (last_moves(each) for each in (run, _with_seed(other, run)))
    shared = {name: theirs[name] / own[name] for name in own if name in theirs and own[name] > 0}
    layer = max(shared, key=lambda name: shared[name], default="")
    if not layer or shared[layer] < FURTHER:
        return None
    sentence = (
        f"{words}, the kernel of {layer} moved by {percent_of_size(theirs[layer])} of its size at "
        f"the start, and the test accuracy was {_reached(other)}. Here, the kernel moved by "
        f"{percent_of_size(own[layer])}."
    )
    return Contrast(sentence, "distance_moved", other)


def _gradient(run: Run, other: Combination, words: str) -> Contrast | None:
    """How much more of the gradient reached the first layer in the other combination."""
    own, theirs = (
        early_gradients(each.record.by_layer("gradient_norm"), EARLY_STEPS)
        for each in (run, _with_seed(other, run))
    )
    if own is None or theirs is None or theirs.ratio < LARGER * own.ratio:
        return None
    sentence = (
        f"{words}, the gradient norm at {theirs.first} was {compared(theirs.ratio)} that at "
        f"{theirs.last} over the first {theirs.until:,} steps, and the test accuracy was "
        f"{_reached(other)}. Here, the gradient norm was {compared(own.ratio)} that at {own.last}."
    )
    return Contrast(sentence, "gradients", other)


def last_moves(run: Run) -> dict[str, float]:
    """How far each kernel is from its start at the end, relative to its size at the start."""
    moves = run.record.by_layer("distance_moved")
    return {layer: float(values[-1]) for layer, (_, values) in moves.items() if len(values)}


def _with_seed(combination: Combination, run: Run) -> Run:
    """The run of a combination with the same seed as another run, if there is one."""
    same = [each for each in combination.done if each.config.seed == run.config.seed]
    return same[0] if same else combination.shown


def _reached(combination: Combination) -> str:
    return accuracy_text(
        combination.values("test_accuracy"), combination.runs[0].record.test_images
    )
