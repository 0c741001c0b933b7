"""Figures of what the layers compute from test images: feature maps, and features by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenet.analysis import classes
from lenet.figures import activity, style
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData

MAP_ROWS = 100
SORTED_ROWS = 40  # In the figure of all classes, so that it fits on a screen.


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
        "the activation removes. All maps below a title have the scale that it names. A map in one gray "
        "has nearly the same output everywhere, so it tells little about the image.",
    )


def class_maps_together(data: RunData) -> Iterator[CaptionedFigure]:
    """The features of all classes next to each other."""
    order, columns = _unit_order(data)
    maps, layer = [values[:, columns] for values in features_by_class(data)], data.feature_layer
    yield CaptionedFigure(
        f"{layer}_maps",
        activity.feature_maps_of_classes(
            {n: m for n, m in zip(data.class_names, maps, strict=True) if len(m)},
            data.colormap,
            f"{layer}: {_number_of_images(maps, MAP_ROWS)} × {maps[0].shape[1]} units ({data.run.title})",
            order,
        ),
        "Each row is one image, each column one unit. Vertical stripes that differ between classes "
        "are the code from which the last layer reads the class.",
    )


def sorted_units(data: RunData) -> Iterator[CaptionedFigure]:
    """The features of all classes with the units sorted by class, and the class means."""
    means, present = classes.class_means(data.outputs[1], data.dataset.test.labels)
    order, speaks_for = classes.unit_order(means)
    maps = [features_by_class(data)[label][:SORTED_ROWS] for label in present]
    layer = data.feature_layer
    figure = activity.sorted_units(
        means[:, order],
        np.concatenate(maps)[:, order],
        [len(values) for values in maps],
        [data.class_names[label] for label in present],
        order.tolist(),
        [int((speaks_for == row).sum()) for row in range(len(present))],
        f"{layer}, units sorted by class: {_number_of_images(maps, SORTED_ROWS)} ({data.run.title})",
    )
    yield CaptionedFigure(
        f"{layer}_sorted",
        figure,
        "The units are sorted by the class for which their mean activation is highest; this class is "
        "above them. Bright blocks along the diagonal are units that distinguish their class from the "
        "others. A column that looks the same in all rows tells nothing about the class.",
    )


def _number_of_images(maps: Sequence[np.ndarray], most: int) -> str:
    rows = sorted({len(values) for values in maps})
    number = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
    shortfall = "" if rows[0] == most else " (all available)"
    return f"{number} test images of each class{shortfall}"


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
    """The mean features of each class, and how similar the classes are."""
    means, present = classes.class_means(data.outputs[1], data.dataset.test.labels)
    order, columns = _unit_order(data)
    names = [data.class_names[label] for label in present]
    alike = classes.similarities(means, names)
    caption = ""
    if alike is not None:
        pair = alike.closest
        caption = (
            f"The most similar classes are {pair.classes[0]} and {pair.classes[1]}. Units with high "
            f"activations for both: {pair.shared}. Units that distinguish them: {pair.different}. "
        )
    title = f"{data.feature_layer} by class: {data.run.title}"
    table = alike.table if alike is not None else None
    yield CaptionedFigure(
        f"{data.feature_layer}_means",
        activity.class_means(means[:, columns], table, names, title, order),
        f"{caption}The similarity is the cosine of the angle between the means of two classes, after "
        "the mean over all classes is subtracted: 1 is the same pattern, 0 is no relation, and a "
        "negative number is an opposite pattern. The network tends to confuse similar classes.",
    )


def _unit_order(data: RunData) -> tuple[Sequence[int], slice | Sequence[int]]:
    """The unit numbers in their order, or () if they are not sorted; and the column index."""
    if not data.sort_units:
        return (), slice(None)
    means, _ = classes.class_means(data.outputs[1], data.dataset.test.labels)
    order = classes.unit_order(means)[0].tolist()
    return order, order
