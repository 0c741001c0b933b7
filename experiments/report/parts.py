"""The views inside the networks: for each activation, one panel per combination.

To add a view, add an entry to `PARTS` with the function that draws its panel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from experiments.report.data import Combination, Run, seed_list
from experiments.report.images import (
    Image,
    convolutions,
    drawing,
    kernel_image,
    kernels_by_layer,
    map_image,
    variant_look,
)
from experiments.report.inspected import Inspected
from lenet.diagnosis import Series
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import comparison as figures


@dataclass(frozen=True)
class Panel:
    """What one part shows for one combination.

    Attributes:
        images: the images from top to bottom.
        missing: why there is no image, or "".
        bands: each class with its number of rows, if the image has a row per probe image.
        scale: the values of the first and the last colour, if the image has a colour scale.
        seeds: the seeds that it shows, or "" if there is only one.
    """

    images: Sequence[Image] = ()
    missing: str = ""
    bands: Sequence[tuple[str, int]] = ()
    scale: tuple[float, float] | None = None
    seeds: str = ""


@dataclass(frozen=True)
class Part:
    """One view inside the networks.

    Attributes:
        name: the first part of its ids in the page; links from `Finding.plot` use it.
        heading, caption: text in which "{layer}" is replaced by the layer of the features.
        panel: the function that returns the panel of one combination.
        every_seed: whether a panel has a line for every seed, not only the data of one.
    """

    name: str
    heading: str
    caption: str
    panel: Callable[[Inspected, Combination], Panel]
    every_seed: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page: a view inside the networks with one activation."""

    name: str
    heading: str
    caption: str
    panels: Sequence[tuple[Combination, Panel]]

    @property
    def scale(self) -> tuple[float, float] | None:
        """The colour scale that all panels share."""
        return next((panel.scale for _, panel in self.panels if panel.scale), None)


NO_INSPECTIONS = Panel(missing="Not recorded: this run has no inspections.")
NOT_RECORDED = Panel(missing="Not recorded.")
NO_CONVOLUTION = Panel(missing="This network has no convolution.")


def sections_of(inspected: Inspected, activation: str) -> list[Section]:
    """All views of the networks with one activation, without empty views."""
    combinations = inspected.comparison.with_activation(activation)
    shown = []
    for part in PARTS:
        panels = [
            (c, _with_seeds(part, inspected, c) if c.number in inspected.ends else NO_INSPECTIONS)
            for c in combinations
        ]
        if any(panel.images for _, panel in panels):
            heading, caption = (
                text.format(layer=inspected.feature_layer) for text in (part.heading, part.caption)
            )
            shown.append(Section(part.name, heading, caption, panels))
    return shown


def _with_seeds(part: Part, inspected: Inspected, combination: Combination) -> Panel:
    """The panel of a combination, with the seeds that it shows."""
    panel = part.panel(inspected, combination)
    if len(combination.runs) == 1 or not panel.images:
        return panel
    runs = _measured(combination) if part.every_seed else [combination.shown]
    return replace(panel, seeds=seed_list(runs))


def _kernels(inspected: Inspected, combination: Combination) -> Panel:
    ends = inspected.ends[combination.number]
    images = [
        kernel_image(
            [kernel],
            inspected.reaches[layer],
            alt=f"Kernels of {layer} at step {step:,}, {combination.label}",
            caption=f"{layer} at step {step:,}",
        )
        for step, arrays in zip(ends.steps, (ends.start, ends.end), strict=True)
        for layer, kernel in convolutions(arrays).items()
    ]
    return Panel(images) if images else NO_CONVOLUTION


def _features(inspected: Inspected, combination: Combination) -> Panel:
    if (recorded := inspected.features(combination)) is None:
        return NOT_RECORDED
    features, labels = recorded
    limits = inspected.feature_limits(combination.activation)
    alt = f"Outputs of {inspected.feature_layer} by class, {combination.label}"
    image = map_image(features[np.argsort(labels, kind="stable")], limits, alt)
    names = combination.shown.dataset["class_names"]
    bands = [(str(names[c]), int((labels == c).sum())) for c in np.unique(labels)]
    return Panel([image], bands=bands, scale=limits)


def _gradients(inspected: Inspected, combination: Combination) -> Panel:
    title = "gradient norm (L2)"
    return _lines(inspected, combination, "gradient_norm", title, inspected.norm_limits)


def _activity(inspected: Inspected, combination: Combination) -> Panel:
    saturated = _by_layer(combination, "saturated_fraction")
    dead = _by_layer(combination, "dead_fraction")
    if not saturated or not dead:
        return NOT_RECORDED
    figure = figures.activity(saturated, dead, inspected.last_step)
    return Panel([drawing(figure, f"Saturated outputs and dead units, {combination.label}")])


def _other_diagnostic(kind: str, inspected: Inspected, combination: Combination) -> Panel:
    diagnostic = DIAGNOSTICS[kind]
    limits = (-0.03, 1.03) if diagnostic.scale == "percent" else None
    return _lines(inspected, combination, kind, diagnostic.title, limits)


def _lines(
    inspected: Inspected,
    combination: Combination,
    kind: str,
    label: str,
    limits: tuple[float, float] | None,
) -> Panel:
    """One diagnostic over the steps, with a line per layer."""
    values, diagnostic = _by_layer(combination, kind), DIAGNOSTICS[kind]
    if not values:
        return NOT_RECORDED
    figure = figures.framed(2.4)
    figures.by_layer(
        values,
        figure.add_subplot(),
        label,
        limits,
        scale=diagnostic.scale,
        last_step=inspected.last_step,
    )
    title = diagnostic.title.capitalize()
    return Panel([drawing(figure, f"{title} by layer, {combination.label}")])


def _weights(inspected: Inspected, combination: Combination) -> Panel:
    ends = inspected.ends[combination.number]
    start, end = kernels_by_layer(ends.start), kernels_by_layer(ends.end)
    end = {layer: kernel for layer, kernel in end.items() if layer in start}
    if not end:
        return NOT_RECORDED
    color, _ = variant_look(inspected.comparison, combination)
    figure = figures.weight_histograms(start, end, color, inspected.widths)
    return Panel([drawing(figure, f"Weights before and after training, {combination.label}")])


def _by_layer(combination: Combination, kind: str) -> dict[str, list[Series]]:
    """One diagnostic by layer: a curve for each run that recorded it."""
    by_run: list[Mapping[str, Series]] = [
        run.record.by_layer(kind) for run in _measured(combination)
    ]
    layers = dict.fromkeys(layer for curves in by_run for layer in curves)
    return {layer: [curves[layer] for curves in by_run if layer in curves] for layer in layers}


def _measured(combination: Combination) -> list[Run]:
    """The runs whose diagnostics are shown."""
    return combination.done or [combination.shown]


PARTS = (
    Part(
        "kernels",
        "Kernels before and after training",
        "Look for edges and blobs that were not there at the start, and for kernels that did not "
        "change.",
        _kernels,
    ),
    Part(
        "maps",
        "What {layer} shows about the classes",
        "Each row is a probe image, and the rows are sorted by class. Each column is a unit of "
        "{layer}. If the rows of a class have their own pattern, the network distinguishes this "
        "class from the others. A stripe through all classes is a unit that has the same output "
        "for every class.",
        _features,
    ),
    Part(
        "gradients",
        "Gradient norm by layer",
        "One line per layer and seed, from the first layer (dark) to the last (light). The scale is "
        "logarithmic and the same for all combinations. If the dark lines are far below the "
        "light ones, the first layers learn much more slowly than the last.",
        _gradients,
        every_seed=True,
    ),
    Part(
        "activity",
        "Saturated outputs and dead units",
        "Top: the share of outputs at which the activation function is so flat that hardly any "
        "gradient passes. With relu, these are the outputs that are 0; a share of about one half is "
        "normal. Bottom: the share of units that have the same output for every probe image.",
        _activity,
        every_seed=True,
    ),
    Part(
        "weights",
        "Weights before and after training",
        "The outline shows the weights before training, and the filled shape shows the weights "
        "after training. If both are the same, the layer has not changed. A wide shape means large "
        "weights. Values beyond the edges are counted in the outermost bins.",
        _weights,
    ),
    *(
        Part(
            kind,
            f"{diagnostic.title.capitalize()} by layer",
            f"{diagnostic.meaning.capitalize()}. One line per layer and seed, from the first layer "
            f"(dark) to the last (light). {diagnostic.hint}".rstrip(),
            partial(_other_diagnostic, kind),
            every_seed=True,
        )
        for kind, diagnostic in DIAGNOSTICS.items()
        if kind not in ("gradient_norm", "saturated_fraction", "dead_fraction")  # Shown above.
    ),
)
