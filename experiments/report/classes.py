"""The drawing of the feature layer: every unit's output for each class and each probe image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.images import colored
from lenet.analysis.classes import class_means, unit_order

MOST_NUMBERED = 130  # With more units, their numbers are too small to read.
# Lengths in the drawing of a map.
LEFT, RIGHT, UNIT, MEAN_ROW, IMAGE_ROWS, GAP, TOP, BOTTOM = 60, 14, 10, 16, 320, 8, 16, 30


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
        left, columns: the left edge and the width of the pictures.
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
    columns: float
    means: tuple[str, float, float]
    images: tuple[str, float, float]
    classes: Sequence[Box]
    groups: Sequence[Box]
    edges: Sequence[float]
    units: Sequence[Box]
    alt: str


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
    means, present = class_means(features, labels)
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
    groups, edges, first = [], [float(LEFT)], 0
    for i, c in enumerate(present):
        count = int((speaks_for == i).sum())
        if count:
            middle = LEFT + UNIT * (first + count / 2)
            groups.append(Box(str(names[c]), middle, TOP - 5))
            edges.append(float(LEFT + UNIT * first))
            first += count
    if first < len(order):
        groups.append(Box("none", LEFT + UNIT * (first + len(order)) / 2, TOP - 5))
        edges.append(float(LEFT + UNIT * first))
    numbers = order.tolist() if len(order) <= MOST_NUMBERED else []
    bottom = below + IMAGE_ROWS
    counts = [f"{int((speaks_for == i).sum())} for {names[c]}" for i, c in enumerate(present)]
    return UnitMap(
        width=LEFT + width + RIGHT,  # The name of a narrow last group is wider than the group.
        height=bottom + (BOTTOM if numbers else 4),
        left=LEFT,
        columns=width,
        means=(colored(means[:, order], limits), TOP, mean_height),
        images=(colored(features[rows][:, order], limits), below, IMAGE_ROWS),
        classes=classes,
        groups=groups,
        edges=edges[2:],
        units=[Box(str(n), LEFT + UNIT * (i + 0.5), bottom + 4) for i, n in enumerate(numbers)],
        alt=f"Outputs of {features.shape[1]} units by class, {label}. Number of units that are "
        f"strongest for each class: {', '.join(counts)}.",
    )
