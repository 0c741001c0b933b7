"""Figures of what the layers make of test images: feature maps, and the features of each class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lenet.figures import activity, style
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData

MAP_ROWS = 100


def feature_maps(data: RunData) -> Iterator[CaptionedFigure]:
    """What all convolutions make of the first test image."""
    image = data.dataset.test.images[0]
    before, after = data.feature_maps(image)
    label = data.class_names[data.dataset.test.labels[0]]
    title = f"What each kernel makes of one test image, a {label}: {data.run.title}"
    yield CaptionedFigure(
        "feature_maps",
        activity.all_feature_maps(image, before, after, title),
        "One map per kernel, bright where the kernel found what it looks for. In the middle before "
        "the activation, on the right after it: see what the activation removes.",
    )


def class_maps_together(data: RunData) -> Iterator[CaptionedFigure]:
    """The features of all classes next to each other, in one figure."""
    maps, layer = features_by_class(data), data.feature_layer
    rows = sorted({len(values) for values in maps})
    number = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
    shortfall = "" if rows[0] == MAP_ROWS else " (there are no more)"
    yield CaptionedFigure(
        f"{layer}_maps",
        activity.feature_maps_of_classes(
            {n: m for n, m in zip(data.class_names, maps, strict=True) if len(m)},
            data.colormap,
            f"{layer}: {number} test images of each class{shortfall} × {maps[0].shape[1]} units "
            f"({data.run.title})",
        ),
        "A row is one image, a column one unit. Vertical stripes that differ between classes are "
        "the code from which the last layer reads the class.",
    )


def features_by_class(data: RunData) -> list[np.ndarray]:
    """The features of the first 100 test images of each class, or of all if there are fewer.

    Returns:
        One float32 [rows, d] per class.
    """
    features, labels = data.outputs[1], data.dataset.test.labels
    classes = range(len(data.class_names))
    return [features[np.flatnonzero(labels == label)[:MAP_ROWS]] for label in classes]


def class_map_arrays(data: RunData) -> dict[str, np.ndarray]:
    """The arrays behind these maps: `map_<class>`, float32 [rows, units]."""
    return {f"map_{label}": values for label, values in enumerate(features_by_class(data))}


def class_maps(data: RunData) -> Iterator[CaptionedFigure]:
    """The features of each class, in a figure of its own."""
    layer = data.feature_layer
    for label, values in enumerate(features_by_class(data)):
        name = data.run.class_names[label]
        if not len(values):
            data.warn(f"no {layer} map of class {name}: it has no test images")
            continue
        shortfall = "" if len(values) == MAP_ROWS else ", all there are"
        ax = activity.feature_map_of_class(
            values,
            f"{layer} for class {data.class_names[label]}: {len(values)} test images{shortfall} × "
            f"{values.shape[1]} units\nblack is the minimum, white the maximum",
        )
        yield CaptionedFigure(
            f"{layer}_map_{label}",
            style.figure_of(ax),
            f"Class {name} alone, scaled from its own minimum to its own maximum.",
        )


def class_means(data: RunData) -> Iterator[CaptionedFigure]:
    """The mean features of each class, and the distances between them."""
    features, labels = data.outputs[1], data.dataset.test.labels
    present = [label for label in range(len(data.class_names)) if (labels == label).any()]
    means = np.stack([features[labels == label].mean(0) for label in present])
    names = [data.class_names[label] for label in present]
    yield CaptionedFigure(
        f"{data.feature_layer}_means",
        activity.class_means(means, names, f"{data.feature_layer} by class: {data.run.title}"),
        "Classes whose means are close together are those the network confuses.",
    )
