"""Figures of what the layers compute from test images: feature maps, and features by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenet.figures import activity, style
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData

MAP_ROWS = 100


def feature_maps(data: RunData) -> Iterator[CaptionedFigure]:
    """The feature maps of all convolutions for the first test image."""
    image = data.dataset.test.images[0]
    before, after = data.feature_maps(image)
    label = data.class_names[data.dataset.test.labels[0]]
    title = f"Feature maps of one test image of class {label}: {data.run.title}"
    yield CaptionedFigure(
        "feature_maps",
        activity.all_feature_maps(image, before, after, title),
        "There is one map per kernel, and it is bright where the kernel found its pattern. The "
        "middle column shows the maps before the activation, the right column after it. See what "
        "the activation removes.",
    )


def class_maps_together(data: RunData) -> Iterator[CaptionedFigure]:
    """The features of all classes next to each other, in one figure."""
    order, columns = _unit_order(data)
    maps, layer = [values[:, columns] for values in features_by_class(data)], data.feature_layer
    rows = sorted({len(values) for values in maps})
    number = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
    shortfall = "" if rows[0] == MAP_ROWS else " (all available)"
    yield CaptionedFigure(
        f"{layer}_maps",
        activity.feature_maps_of_classes(
            {n: m for n, m in zip(data.class_names, maps, strict=True) if len(m)},
            data.colormap,
            f"{layer}: {number} test images of each class{shortfall} × {maps[0].shape[1]} units "
            f"({data.run.title})",
            order,
        ),
        "Each row is one image, each column one unit. Vertical stripes that differ between classes "
        "are the code from which the last layer reads the class.",
    )


def features_by_class(data: RunData) -> list[np.ndarray]:
    """The features of the first 100 test images of each class, or of all if a class has fewer.

    Returns:
        One float32 [rows, d] per class.
    """
    features, labels = data.outputs[1], data.dataset.test.labels
    classes = range(len(data.class_names))
    return [features[np.flatnonzero(labels == label)[:MAP_ROWS]] for label in classes]


def class_map_arrays(data: RunData) -> dict[str, np.ndarray]:
    """The arrays behind these maps: `map_<class>`, float32 [rows, units]."""
    return {f"map_{label}": values for label, values in enumerate(features_by_class(data))}


def class_maps(data: RunData, labels: Sequence[int] = ()) -> Iterator[CaptionedFigure]:
    """The features of each class, one figure per class; only of these classes if any are given."""
    layer = data.feature_layer
    order, columns = _unit_order(data)
    for label, values in enumerate(features_by_class(data)):
        if labels and label not in labels:
            continue
        name = data.run.class_names[label]
        if not len(values):
            data.warn(f"no {layer} map of class {name}, because it has no test images")
            continue
        shortfall = "" if len(values) == MAP_ROWS else " (all available)"
        ax = activity.feature_map_of_class(
            values[:, columns],
            f"{layer} for class {data.class_names[label]}: {len(values)} test images{shortfall} × "
            f"{values.shape[1]} units\nblack is the minimum, white the maximum",
            units=order,
        )
        yield CaptionedFigure(
            f"{layer}_map_{label}",
            style.figure_of(ax),
            f"Only class {name} is shown here, scaled from its own minimum to its own maximum.",
        )


def class_means(data: RunData) -> Iterator[CaptionedFigure]:
    """The mean features of each class, and the distances between them."""
    means, present = _means_by_class(data)
    order, columns = _unit_order(data)
    names = [data.class_names[label] for label in present]
    title = f"{data.feature_layer} by class: {data.run.title}"
    yield CaptionedFigure(
        f"{data.feature_layer}_means",
        activity.class_means(means[:, columns], names, title, order),
        "The network tends to confuse classes whose means are close together.",
    )


def _means_by_class(data: RunData) -> tuple[np.ndarray, list[int]]:
    """The mean features of each class, float32 [classes, d], and the classes with test images."""
    features, labels = data.outputs[1], data.dataset.test.labels
    present = [label for label in range(len(data.class_names)) if (labels == label).any()]
    return np.stack([features[labels == label].mean(0) for label in present]), present


def _unit_order(data: RunData) -> tuple[Sequence[int], slice | Sequence[int]]:
    """The unit numbers in their order, or () if they are not sorted; and the column index."""
    if not data.sort_units:
        return (), slice(None)
    order = activity.unit_order(_means_by_class(data)[0])[0].tolist()
    return order, order
