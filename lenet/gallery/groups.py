"""The complete list of the groups of figures in a gallery, in the order of the page.

To add a figure, write a function that yields it, and add a `Group` line here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lenet import refusals
from lenet.gallery import answers, layers, learning, network, separation, units
from lenet.gallery.captioned import CaptionedFigure
from lenet.gallery.page import Layout

if TYPE_CHECKING:  # Group names are checked before TensorFlow is loaded.
    from lenet.gallery.run_data import RunData


@dataclass(frozen=True)
class Group:
    """Figures that belong together. They are drawn together and form one section of the page.

    In `name` and `heading`, {features} is replaced by the name of the feature layer, e.g. "fc2".

    Attributes:
        name: the name of the group in `--only`.
        heading: the title of its section.
        draw: yields its figures, or none if the run did not record the data they need.
        layout: how the page arranges them.
        quick: whether it takes a second or less. `lenet.train` draws these groups when it ends.
        applies: whether the network has layers of this kind.
        arrays: returns the arrays that are saved with the figures, as `<name>.npz`.
        by_class: whether `draw` takes the classes to draw as a second argument, `labels`.
        partial: whether only some of its figures are drawn.
    """

    name: str
    heading: str
    draw: Callable[[RunData], Iterator[CaptionedFigure]]
    layout: Layout = "column"
    quick: bool = False
    applies: Callable[[RunData], bool] = lambda data: True
    arrays: Callable[[RunData], Mapping[str, np.ndarray]] | None = None
    by_class: bool = False
    partial: bool = False


def _has_convolutions(data: RunData) -> bool:
    return bool(data.convolutions)


def _has_pixel_layer(data: RunData) -> bool:
    return data.pixel_layer is not None


GROUPS = (
    Group("architecture", "The network", network.architecture, layout="tall"),
    Group("inputs", "What goes in", answers.inputs),
    Group("learning_curves", "Learning curves", learning.learning_curves, quick=True),
    Group("diagnostics", "Diagnostics, layer by layer", learning.diagnostics),
    Group("kernels", "Kernels", network.kernels, quick=True, applies=_has_convolutions),
    Group(
        "weight_images",
        "Weights as images",
        network.weight_images,
        quick=True,
        applies=_has_pixel_layer,
    ),
    Group(
        "feature_maps", "Feature maps", layers.feature_maps, quick=True, applies=_has_convolutions
    ),
    Group("fc_matrices", "Fully connected layers", network.fc_matrices),
    Group(
        "{features}_maps",
        "{features}, all classes",
        layers.class_maps_together,
        quick=True,
        arrays=layers.class_map_arrays,
    ),
    Group("{features}_sorted", "{features}, units sorted by class", layers.sorted_units),
    Group("{features}_map", "{features}, class by class", layers.class_maps, by_class=True),
    Group("{features}_means", "{features}, class means", layers.class_means),
    Group("confusion_matrix", "Confusion matrix", answers.confusion_matrix),
    Group("mistakes", "Mistakes", answers.mistakes),
    Group("evolution", "During training", learning.evolution),
    Group("top_images", "What each unit looks for in the test images", units.top_images),
    Group("maximization", "Images computed to excite each unit", units.maximization),
    Group("attribution", "Which pixels the answer depends on", units.attribution),
    Group(
        "embeddings",
        "How the layers keep classes apart",
        separation.embedded_layers,
        layout="pairs",
    ),
)


def groups_of(feature_layer: str) -> list[Group]:
    """All groups, with their names for a network with this feature layer."""
    return [
        replace(
            group,
            name=group.name.format(features=feature_layer),
            heading=group.heading.format(features=feature_layer),
        )
        for group in GROUPS
    ]


def select(
    names: Sequence[str], feature_layer: str, class_names: Sequence[str] = ()
) -> list[Group]:
    """The groups with these names, in the order of the page; all groups if no names are given.

    Args:
        names: e.g. "kernels", or "fc2_map:3" for the figure of one class, which is given by its
            name or by its number.
        class_names: the names of all classes.

    Raises:
        ValueError: there is no group or no class with one of these names.
    """
    groups = {group.name: group for group in groups_of(feature_layer)}
    chosen: dict[str, set[int]] = {}
    for word in names:
        name, colon, class_name = word.partition(":")
        if name not in groups or (colon and not groups[name].by_class):
            similar = groups
            if colon:
                similar = {f"{n}:{class_name}": g for n, g in groups.items() if g.by_class}
            shown = [n + ("[:CLASS]" if group.by_class else "") for n, group in groups.items()]
            raise ValueError(
                f"Expected --only to name some of {', '.join(shown)}. Received: {word}"
                f"{refusals.did_you_mean(word, similar)}"
            )
        labels = chosen.setdefault(name, set())
        if colon:
            labels.add(_label(class_name, class_names))
    return [
        _only(group, chosen.get(name, set()))
        for name, group in groups.items()
        if not names or name in chosen
    ]


def _only(group: Group, labels: set[int]) -> Group:
    """The group with the figures of these classes; all its figures if there are none."""
    if not labels:
        return group
    draw_all: Callable[..., Iterator[CaptionedFigure]] = group.draw
    draw = functools.partial(draw_all, labels=sorted(labels))
    return replace(group, draw=draw, partial=True)


def _label(class_name: str, class_names: Sequence[str]) -> int:
    """The number of a class from its name or its number."""
    if class_name in class_names:
        return class_names.index(class_name)
    if class_name.isdecimal() and int(class_name) < len(class_names):
        return int(class_name)
    raise ValueError(f"Expected a class: {', '.join(class_names)}. Received: {class_name}")
