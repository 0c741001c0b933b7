"""Figures of what each unit looks for, and of the pixels on which an answer depends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lenet.figures import style, units
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.analysis.units import TopImages
    from lenet.gallery.run_data import RunData

LARGEST_LAYER = 256  # A layer with more units gets pictures of its first units only.
MOST_CLASSES = 12  # In one row.
EXPLAINED = 4


def top_images(data: RunData) -> Iterator[CaptionedFigure]:
    """For each unit of each hidden layer, the nine test images that excite it most."""
    for layer in data.hidden_layers:
        top = data.top_images(layer, LARGEST_LAYER)
        patches = top.patch != data.run.image_shape[:2]
        size = f"{top.patch[0]}×{top.patch[1]}"
        what = f"patches of {size} pixels of the test images" if patches else "test images"
        ax = units.blocks(
            np.stack([_nine(data, top, unit) for unit in range(len(top.indices))]),
            [f"unit {unit}\n{_classes(data, row)}" for unit, row in enumerate(top.indices)],
            f"{layer}: for each unit, the nine {what} with its highest values",
        )
        yield CaptionedFigure(
            f"top_images_{layer}",
            style.figure_of(ax),
            "Each block belongs to one unit. Above it is the most frequent class among the nine. The "
            "highest value is at the top left. Do the nine have something in common?"
            + (" Light gray is outside the image." if patches else "")
            + _left_out(data, layer),
        )


def maximization(data: RunData) -> Iterator[CaptionedFigure]:
    """For each unit of each layer, an image computed to excite it; for the classes also over time."""
    for layer in [*data.hidden_layers, data.run.model.logits_layer]:
        images = data.maximized(layer, LARGEST_LAYER)
        logits = layer == data.run.model.logits_layer
        names = data.class_names if logits else [f"{unit}" for unit in range(len(images))]
        ax = units.blocks(
            images, list(names), f"{layer}: an image computed to excite each {_unit(logits)}"
        )
        yield CaptionedFigure(
            f"maximization_{layer}",
            style.figure_of(ax),
            f"Each image starts as noise. Then {data.ascent}, so that the value of this one unit "
            "before its activation rises. It shows what the unit responds to most, which is often not "
            "what a person would draw." + _left_out(data, layer),
        )
    history = data.maximized_over_time()
    if history:
        images = np.concatenate(list(history.values()))
        labels = [f"{name}, step {step:,}" for step in history for name in data.class_names]
        columns = len(data.class_names) if len(data.class_names) <= MOST_CLASSES else units.COLUMNS
        title = "The images for the classes, during training"
        yield CaptionedFigure(
            "maximization_evolution",
            style.figure_of(units.blocks(images, labels, title, columns)),
            "At step 0 the network answers at random, and the images are noise. See at which step parts "
            "of each class appear.",
        )


def attribution(data: RunData) -> Iterator[CaptionedFigure]:
    """For some test images, the pixels on which the network's answer depends, by five methods."""
    test = data.dataset.test
    for position in range(min(EXPLAINED, len(test))):
        label = int(data.predicted[position])
        found = data.attributions(position)
        notes = [f"random weights: {each.sanity:.2f}" for each in found]
        truth = data.class_names[test.labels[position]]
        figure = units.attributions(
            test.images[position],
            {each.method: each.values for each in found},
            notes,
            f"Test image {position}, class {truth}: which pixels speak for the answer "
            f"{data.class_names[label]} (red) and which against it (blue)",
        )
        [error] = [each.completeness for each in found if each.completeness is not None]
        yield CaptionedFigure(
            f"attribution_{position}",
            figure,
            "Each map has its own scale. The number below it compares the map with that of the same "
            "network with its weights in random order: near 0 the map shows what the network has "
            "learned; near 1 it shows only the image. Pixels at which both maps are 0 do not count. The "
            "values of integrated gradients add up to the difference between the logits of this image "
            "and of a black one, here with an error "
            f"of {100 * error:.1f} %.",
        )


def _nine(data: RunData, top: TopImages, unit: int) -> np.ndarray:
    """The top images of one unit, or their patches, as one picture."""
    images = data.dataset.test.images[top.indices[unit]].astype(np.float32) / 255
    return units.three_by_three(units.cut_out(images, top.corners[unit], top.patch))


def _classes(data: RunData, indices: np.ndarray) -> str:
    """The most frequent class among some test images, and how many of them it has."""
    labels = data.dataset.test.labels[indices]
    [(label, count)] = Counter(labels.tolist()).most_common(1)
    return f"class {data.class_names[label]}: {count} of {len(labels)}"


def _unit(logits: bool) -> str:
    return "class" if logits else "unit"


def _left_out(data: RunData, layer: str) -> str:
    number = data.kernels[layer].shape[-1]
    return f" Only {LARGEST_LAYER} of {number:,} units are shown." if number > LARGEST_LAYER else ""
