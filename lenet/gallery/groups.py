"""The complete list of the groups of figures in a gallery, in the order of the page.

To add a figure, write a function that yields it, and add a `Group` line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lenet.gallery import answers, layers, learning, network, separation
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
    """

    name: str
    heading: str
    draw: Callable[[RunData], Iterator[CaptionedFigure]]
    layout: Layout = "column"
    quick: bool = False
    applies: Callable[[RunData], bool] = lambda data: True
    arrays: Callable[[RunData], Mapping[str, np.ndarray]] | None = None


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
    Group("{features}_map", "{features}, class by class", layers.class_maps),
    Group("{features}_means", "{features}, class means", layers.class_means),
    Group("confusion_matrix", "Confusion matrix", answers.confusion_matrix),
    Group("mistakes", "Mistakes", answers.mistakes),
    Group("evolution", "During training", learning.evolution),
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


def select(names: Sequence[str], feature_layer: str) -> list[Group]:
    """The groups with these names, in the order of the page; all groups if no names are given.

    Raises:
        ValueError: there is no group with one of these names.
    """
    groups = groups_of(feature_layer)
    known = [group.name for group in groups]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"Expected --only to name some of {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    return [group for group in groups if not names or group.name in names]
