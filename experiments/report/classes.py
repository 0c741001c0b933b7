"""What the units of the feature layer show about the classes: their order, means and similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.images import colored
from lenet.figures.activity import unit_order

NAMED_UNITS = 3  # Units named for each pair of classes.
MOST_CLASSES = 12  # With more classes, the tables are too large to read.
MOST_NUMBERED = 130  # With more units, their numbers are too small to read.
# Lengths in the drawing of a map.
LEFT, UNIT, MEAN_ROW, IMAGE_ROWS, GAP, TOP, BOTTOM = 60, 10, 16, 320, 8, 16, 30


@dataclass(frozen=True)
class Box:
    """A label in the drawing of a map, at the middle of the rows or columns that it names."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class UnitMap:
    """The outputs of all units as a drawing; every attribute is in its coordinates.

    Attributes:
        means, images: the pictures of the class means and of the probe images. Each is a data
            address, the y of the upper edge, and the height.
        classes: the names of the classes next to both pictures.
        groups: the class of each group of units, above the pictures.
        edges: the x of the edges of these groups.
        units: the number of each unit, below the pictures.
        alt: a description of the map in words.
    """

    width: float
    height: float
    left: float
    means: tuple[str, float, float]
    images: tuple[str, float, float]
    classes: Sequence[Box]
    groups: Sequence[Box]
    edges: Sequence[float]
    units: Sequence[Box]
    alt: str


@dataclass(frozen=True)
class PairOfClasses:
    """How similar two classes are, which units react to both, and which units distinguish them."""

    classes: tuple[str, str]
    similarity: float
    shared: str
    different: str


@dataclass(frozen=True)
class Similarities:
    """The similarity of each pair of classes, as a table and as a list, the most similar first."""

    classes: Sequence[str]
    table: Sequence[Sequence[float]]
    pairs: Sequence[PairOfClasses]

    @property
    def closest(self) -> PairOfClasses:
        return self.pairs[0]


def unit_map(
    features: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    limits: tuple[float, float],
    label: str,
) -> UnitMap:
    """The map of one network.

    Args:
        features: the outputs for the probe images, float [n, units].
        labels: the classes of these images, int [n].
        names: the names of the classes.
        limits: the values of the first and the last colour.
        label: the name of the combination.
    """
    present = np.unique(labels)
    means = _class_means(features, labels)
    order, speaks_for = unit_order(means)
    rows = np.argsort(labels, kind="stable")
    width = UNIT * features.shape[1]
    mean_height = float(MEAN_ROW * len(present))
    below = TOP + mean_height + GAP
    shares = np.array([(labels == c).mean() for c in present])
    middles = (np.cumsum(shares) - shares / 2) * IMAGE_ROWS + below
    classes = [
        Box(str(names[c]), LEFT - 6, TOP + MEAN_ROW * (i + 0.5)) for i, c in enumerate(present)
    ]
    classes += [
        Box(str(names[c]), LEFT - 6, y) for c, y in zip(present, middles.tolist(), strict=True)
    ]
    groups, edges, first = [], [], 0
    for i, c in enumerate(present):
        count = int((speaks_for == i).sum())
        if count:
            middle = LEFT + UNIT * (first + count / 2)
            groups.append(Box(str(names[c]), middle, TOP - 5))
            first += count
            edges.append(float(LEFT + UNIT * first))
    numbers = order.tolist() if len(order) <= MOST_NUMBERED else []
    bottom = below + IMAGE_ROWS
    counts = [f"{int((speaks_for == i).sum())} for {names[c]}" for i, c in enumerate(present)]
    return UnitMap(
        width=LEFT + width + 4,
        height=bottom + (BOTTOM if numbers else 4),
        left=LEFT,
        means=(colored(means[:, order], limits), TOP, mean_height),
        images=(colored(features[rows][:, order], limits), below, IMAGE_ROWS),
        classes=classes,
        groups=groups,
        edges=edges[:-1],
        units=[Box(str(n), LEFT + UNIT * (i + 0.5), bottom + 4) for i, n in enumerate(numbers)],
        alt=f"Outputs of {features.shape[1]} units by class, {label}. Number of units that are "
        f"strongest for each class: {', '.join(counts)}.",
    )


def similarities(
    features: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> Similarities | None:
    """How similar the classes are to each other; None if the outputs do not depend on the class.

    The similarity is the cosine of the angle between the mean outputs of two classes, after each unit's mean over
    all classes is subtracted.
    """
    present = np.unique(labels)
    means = _class_means(features, labels)
    own = means - means.mean(0)
    sizes = np.linalg.norm(own, axis=1)
    if (
        not 2 <= len(present) <= MOST_CLASSES
        or not np.isfinite(sizes).all()
        or (sizes < 1e-6).any()
    ):
        return None
    table = (own / sizes[:, None]) @ (own / sizes[:, None]).T
    scaled = own / np.maximum(own.std(0), 1e-9)
    shown = [str(names[c]) for c in present]
    pairs = [
        _pair(scaled, i, j, shown, float(table[i, j]))
        for i in range(len(present))
        for j in range(i + 1, len(present))
    ]
    pairs.sort(key=lambda pair: -pair.similarity)
    return Similarities(shown, table.round(2).tolist(), pairs)


def _pair(
    scaled: np.ndarray, i: int, j: int, names: Sequence[str], similarity: float
) -> PairOfClasses:
    both = np.minimum(scaled[i], scaled[j])
    shared = [int(unit) for unit in np.argsort(-both)[:NAMED_UNITS] if both[unit] > 0.5]
    gap = scaled[i] - scaled[j]
    apart = [int(unit) for unit in np.argsort(-np.abs(gap))[:NAMED_UNITS] if abs(gap[unit]) > 0.5]
    different = [f"{unit} (for {names[i] if gap[unit] > 0 else names[j]})" for unit in apart]
    return PairOfClasses(
        (names[i], names[j]),
        similarity,
        ", ".join(map(str, shared)) or "none",
        ", ".join(different) or "none",
    )


def _class_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean outputs of each class; float [classes, units]."""
    finite = np.nan_to_num(features.astype(float), posinf=0.0, neginf=0.0)
    return np.stack([finite[labels == c].mean(0) for c in np.unique(labels)])
