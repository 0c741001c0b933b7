"""What the units of the feature layer show about the classes: order, means and similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lenet.option_checks import join

NAMED_UNITS = 3  # Units named for each pair of classes.
VISIBLE = 0.1  # A share of the range of the colours of a picture.
# Of the largest output. If no unit's class means differ by more, the outputs hardly depend on the class.
SMALLEST_DIFFERENCE = 0.02


@dataclass(frozen=True)
class PairOfClasses:
    """How similar two classes are.

    Attributes:
        classes: the names of the classes.
        similarity: from -1 to 1.
        shared: the units with high outputs for both classes, e.g. "3, 17", or "none".
        different: the units that distinguish them, e.g. "unit 5 is higher for cat", or "none".
    """

    classes: tuple[str, str]
    similarity: float
    shared: str
    different: str


@dataclass(frozen=True)
class Similarities:
    """The similarity of each pair of classes.

    Attributes:
        classes: their names.
        table: float [classes, classes], from -1 to 1.
        pairs: each pair once, the most similar first.
    """

    classes: Sequence[str]
    table: np.ndarray
    pairs: Sequence[PairOfClasses]

    @property
    def closest(self) -> PairOfClasses:
        return self.pairs[0]

    @property
    def closest_to_each(self) -> list[PairOfClasses]:
        """For each class, the pair of it and the most similar other class. Each pair occurs once."""
        found = [next(pair for pair in self.pairs if name in pair.classes) for name in self.classes]
        return sorted({pair.classes: pair for pair in found}.values(), key=self.pairs.index)

    @property
    def others(self) -> list[PairOfClasses]:
        """The pairs that are not in `closest_to_each`."""
        shown = {pair.classes for pair in self.closest_to_each}
        return [pair for pair in self.pairs if pair.classes not in shown]


def class_means(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean output of each unit for each class that occurs. Values that are not finite count as 0.

    Args:
        features: float [n, units].
        labels: int [n].

    Returns:
        The means, float64 [classes, units], and the classes, int [classes].
    """
    finite = np.nan_to_num(features.astype(float), posinf=0.0, neginf=0.0)
    present = np.unique(labels)
    return np.stack([finite[labels == label].mean(0) for label in present]), present


def unit_order(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts units by the class for which their mean output is highest.

    Within a class, the units whose mean for this class is furthest above their other means come
    first. Units with the same mean for every class come last.

    Args:
        means: the mean output of each unit for each class, float [classes, units].

    Returns:
        The numbers of the units in this order, int [units]. And for each unit number, the row in
        `means` of its class, int [units], or -1 for units with the same mean for every class.
    """
    means = np.nan_to_num(means)
    ranked = np.sort(means, axis=0)
    stands_out = ranked[-1] - ranked[:-1].mean(0)
    speaks_for = means.argmax(0)
    speaks_for[np.ptp(means, axis=0) < 1e-6] = -1
    group = np.where(speaks_for < 0, len(means), speaks_for)
    return np.lexsort((-stands_out, group)), speaks_for


def similarities(
    means: np.ndarray, names: Sequence[str], limits: tuple[float, float] | None = None
) -> Similarities | None:
    """How similar the classes are to each other.

    The similarity is the cosine of the angle between the mean outputs of two classes, after each
    unit's mean over all classes is subtracted. The named units are those whose colours in a picture
    of the means show it best.

    Args:
        means: the mean output of each unit for each class, finite, float [classes, units].
        names: the names of these classes.
        limits: the values of the first and the last colour of the picture; by default, the minimum
            and the maximum of the means.

    Returns:
        None if there is only one class, or if the outputs hardly depend on the class.
    """
    own = means - means.mean(0)
    sizes = np.linalg.norm(own, axis=1)
    differs = np.ptp(means, axis=0).max() > SMALLEST_DIFFERENCE * np.abs(means).max()
    if len(means) < 2 or not differs or (sizes < 1e-6).any():
        return None
    table = (own / sizes[:, None]) @ (own / sizes[:, None]).T
    low, high = limits or (float(means.min()), float(means.max()))
    drawn = (means.clip(low, high) - low) / (high - low)
    drawn -= drawn.mean(0)
    pairs = [
        _pair(drawn, i, j, names, float(table[i, j]))
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    pairs.sort(key=lambda pair: -pair.similarity)
    return Similarities(names, table, pairs)


def _pair(
    drawn: np.ndarray, i: int, j: int, names: Sequence[str], similarity: float
) -> PairOfClasses:
    both = np.minimum(drawn[i], drawn[j])
    shared = [int(unit) for unit in np.argsort(-both)[:NAMED_UNITS] if both[unit] > VISIBLE]
    gap = drawn[i] - drawn[j]
    apart = [u for u in np.argsort(-np.abs(gap))[:NAMED_UNITS].tolist() if abs(gap[u]) > VISIBLE]
    different = [
        f"{'units' if len(units) > 1 else 'unit'} {join([str(unit) for unit in units])} "
        f"{'are' if len(units) > 1 else 'is'} higher for {name}"
        for name, sign in ((names[i], 1), (names[j], -1))
        if (units := [unit for unit in apart if sign * gap[unit] > 0])
    ]
    return PairOfClasses(
        (names[i], names[j]),
        similarity,
        ", ".join(map(str, shared)) or "none",
        "; ".join(different) or "none",
    )
