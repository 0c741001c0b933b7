"""The views inside the networks: for each activation, one panel per combination.

To add a view, add an entry to `PARTS` with the function that draws its panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.report.classes import unit_map
from experiments.report.contrasts import last_moves
from experiments.report.data import Combination, Run, seed_list
from experiments.report.images import (
    Image,
    convolutions,
    drawing,
    kernel_image,
    kernels_by_layer,
    variant_look,
)
from experiments.report.inspected import Inspected
from experiments.report.layer_numbers import AS_PERCENT, HIDDEN_ONLY, extremes
from experiments.report.mistakes import confusion_of
from experiments.report.panels import Panel, Part, Section
from lenet.analysis.classes import class_means, similarities
from lenet.diagnosis import Series, percent_of_size
from lenet.diagnostics import DIAGNOSTICS, HARDLY_MOVED
from lenet.figures import comparison as figures

NO_INSPECTIONS = Panel(missing="Not recorded: this run has no inspections.")
NOT_RECORDED = Panel(missing="Not recorded.")
NO_CONVOLUTION = Panel(missing="This network has no convolution.")
SEEDS = "The first seed has thick lines, and the others have dashed lines."
DIAGNOSTIC_PARTS = {"gradients": "gradient_norm"}  # The diagnostics of parts with other names.


def sections_of(inspected: Inspected, activation: str) -> list[Section]:
    """All views of the networks with one activation, without empty views."""
    combinations = inspected.comparison.with_activation(activation)
    shown = []
    for part in PARTS:
        panels = [
            (c, _with_seeds(part, inspected, c) if c.number in inspected.ends else NO_INSPECTIONS)
            for c in combinations
        ]
        if any(panel.filled for _, panel in panels):
            heading, caption = (
                text.format(layer=inspected.feature_layer) for text in (part.heading, part.caption)
            )
            if part.every_seed and inspected.comparison.most_seeds > 1:
                caption = f"{caption} {SEEDS}"
            common = part.common(inspected, combinations) if part.common else ()
            kind = DIAGNOSTIC_PARTS.get(part.name, part.name)
            summary = ""
            if kind in DIAGNOSTICS:
                summary = extremes(combinations, kind, every_seed=True)
            elif part.name == "kernels":
                summary = _moved(inspected, combinations)
            shown.append(Section(part.name, heading, caption, panels, common, summary))
    return shown


def _with_seeds(part: Part, inspected: Inspected, combination: Combination) -> Panel:
    """The panel of a combination, with the seeds that it shows."""
    panel = part.panel(inspected, combination)
    if len(combination.runs) == 1 or not panel.filled:
        return panel
    runs = _measured(combination) if part.every_seed else [combination.shown]
    return replace(panel, seeds=seed_list(runs))


def _kernels(inspected: Inspected, combination: Combination) -> Panel:
    ends, label = inspected.ends[combination.number], combination.label
    group = inspected.comparison.with_activation(combination.activation)
    if not convolutions(ends.end):
        return NO_CONVOLUTION
    images = (
        []
        if inspected.common_start(group)
        else _kernel_images(inspected, ends.start, label, ends.steps[0])
    )
    moves = last_moves(combination.shown)
    return Panel([*images, *_kernel_images(inspected, ends.end, label, ends.steps[1], moves)])


def _common_kernels(inspected: Inspected, combinations: Sequence[Combination]) -> Sequence[Image]:
    """The kernels before training, if all combinations started with the same ones."""
    start = inspected.common_start(combinations)
    return _kernel_images(inspected, start, "all combinations", 0) if start else ()


def _kernel_images(
    inspected: Inspected,
    arrays: Mapping[str, np.ndarray],
    label: str,
    step: int,
    moves: Mapping[str, float] | None = None,
) -> list[Image]:
    """One image for each convolution.

    Args:
        moves: how far each kernel has moved since the start, relative to its size.
    """
    images = []
    for layer, kernel in convolutions(arrays).items():
        moved = (moves or {}).get(layer)
        caption = f"{layer} at step {step:,}"
        if moved is not None:
            caption += f": moved by {percent_of_size(moved)} of its size"
            caption += " (hardly changed)" if moved < HARDLY_MOVED else ""
        alt = f"{kernel.shape[-1]} kernels of {caption}, {label}"
        images.append(kernel_image([kernel], inspected.reaches[layer], alt=alt, caption=caption))
    return images


def _moved(inspected: Inspected, combinations: Sequence[Combination]) -> str:
    """Which of the kernels shown has moved least and which most, in sentences; or ""."""
    places = sorted(
        (moved, f"{layer} of {combination.label}")
        for combination in combinations
        if combination.number in inspected.ends
        for layer, moved in last_moves(combination.shown).items()
        if layer in convolutions(inspected.ends[combination.number].end) and np.isfinite(moved)
    )
    if not places or places[0][0] == places[-1][0]:
        return ""
    (least, first), (most, last) = places[0], places[-1]
    text = (
        f"{last} moved most, by {percent_of_size(most)} of its size. {first} moved least, by "
        f"{percent_of_size(least)}."
    )
    if least < HARDLY_MOVED:
        text += " Kernels that hardly moved still look like the random start."
    return text


def _features(inspected: Inspected, combination: Combination) -> Panel:
    if (recorded := inspected.features(combination)) is None:
        return NOT_RECORDED
    limits = inspected.feature_limits(combination.activation)
    names = combination.shown.dataset["class_names"]
    units = unit_map(*recorded, names, limits, combination.label)
    means, present = class_means(*recorded)
    alike = similarities(means, [str(names[c]) for c in present], limits)
    return Panel(units=units, alike=alike, scale=_scale(inspected, combination.activation))


def _scale(inspected: Inspected, activation: str) -> tuple[str, str]:
    """The values of the first and the last colour of a map, in words."""
    low, high = inspected.feature_limits(activation)
    ends = f"{low + 0:.2g}".replace("-", "−"), f"{high:.2g}".replace("-", "−")
    beyond = f"{inspected.highest_feature(activation):.2g}".replace("-", "−") != ends[1]
    return ends[0], f"{ends[1]} or more" if beyond else ends[1]


def _confusion(inspected: Inspected, combination: Combination) -> Panel:
    confusion = confusion_of(combination)
    return Panel(confusion=confusion) if confusion else NOT_RECORDED


def _gradients(inspected: Inspected, combination: Combination) -> Panel:
    limits = inspected.limits("gradient_norm", "logarithmic")
    return _lines(inspected, combination, "gradient_norm", "gradient norm (L2)", limits)


def _activity(inspected: Inspected, combination: Combination) -> Panel:
    saturated = _by_layer(combination, "saturated_fraction")
    dead = _by_layer(combination, "dead_fraction")
    if not saturated or not dead:
        return NOT_RECORDED
    if _all_zero(saturated) and _all_zero(dead):
        return Panel(sentence="In all layers, no output is saturated and no unit is dead.")
    figure = figures.activity(saturated, dead, inspected.last_step)
    last = f"Saturated: {_listed(saturated, '{:.0%}')}. Dead: {_listed(dead, '{:.0%}')}."
    alt = f"Saturated outputs and dead units at the end, {combination.label}. {last}".replace(
        "%", " %"
    )
    return Panel([drawing(figure, alt)])


def _other_diagnostic(kind: str, inspected: Inspected, combination: Combination) -> Panel:
    diagnostic = DIAGNOSTICS[kind]
    limits = inspected.limits(kind, diagnostic.scale)
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
    if diagnostic.scale == "percent" and _all_zero(values):
        return Panel(sentence=f"{diagnostic.title.capitalize()}: 0 % in every layer.")
    figure = figures.framed(2.3, left=0.72, top=0.12, right=0.5)
    figures.by_layer(
        values,
        figure.add_subplot(),
        label,
        limits,
        scale=diagnostic.scale,
        last_step=inspected.last_step,
        percent=kind in AS_PERCENT,
    )
    form = "{:.0%}" if diagnostic.scale == "percent" else "{:.2g}"
    alt = f"{diagnostic.title.capitalize()} by layer, {combination.label}. At the end: "
    return Panel([drawing(figure, f"{alt}{_listed(values, form)}.")])


def _weights(inspected: Inspected, combination: Combination) -> Panel:
    ends = inspected.ends[combination.number]
    start, end = kernels_by_layer(ends.start), kernels_by_layer(ends.end)
    end = {layer: kernel for layer, kernel in end.items() if layer in start}
    if not end:
        return NOT_RECORDED
    color, _ = variant_look(inspected.comparison, combination)
    figure = figures.weight_histograms(start, end, color, inspected.widths)
    spreads = [
        f"{layer} from {start[layer].std():.2g} to {kernel.std():.2g}"
        for layer, kernel in end.items()
    ]
    alt = f"Weights before and after training, {combination.label}. Standard deviation: "
    return Panel([drawing(figure, f"{alt}{', '.join(spreads)}.")])


def _listed(values: Mapping[str, Sequence[Series]], form: str) -> str:
    """The last value of each layer as text. This is the mean over seeds."""
    means = {layer: np.mean([v[-1] for _, v in seeds]) for layer, seeds in values.items() if seeds}
    return ", ".join(f"{layer} {form.format(mean)}" for layer, mean in means.items())


def _all_zero(values: Mapping[str, Sequence[Series]]) -> bool:
    return not any(np.any(v) for seeds in values.values() for _, v in seeds)


def _by_layer(combination: Combination, kind: str) -> dict[str, list[Series]]:
    """One diagnostic by layer: a curve for each run that recorded it.

    The output layer has no curves if the diagnostic is about activation functions.
    """
    by_run: list[Mapping[str, Series]] = [
        run.record.by_layer(kind) for run in _measured(combination)
    ]
    layers = dict.fromkeys(layer for curves in by_run for layer in curves)
    found = {layer: [curves[layer] for curves in by_run if layer in curves] for layer in layers}
    if found and kind in HIDDEN_ONLY:  # It has no lines, and the other layers keep their colours.
        found[list(found)[-1]] = []
    return found


def _measured(combination: Combination) -> list[Run]:
    """The runs whose diagnostics are shown."""
    return combination.done or [combination.shown]


PARTS = (
    Part(
        "kernels",
        "Kernels before and after training",
        "Look for edges and blobs that were not there at the start. Above each picture is the "
        "distance that the layer's kernel has moved. A change below about 20 % of its size is hard to "
        "see.",
        _kernels,
        common=_common_kernels,
    ),
    Part(
        "maps",
        "What {layer} shows about the classes",
        "Each column is a unit of {layer}. The number of the unit is below the column. The upper "
        "picture shows the mean output for each class, and the lower picture shows the output for "
        "each probe image. The units are sorted by the class for which their mean is highest. The "
        "name of this class is above them, or “none” if their mean is the same for every class. A "
        "class that is not named above has no such unit. "
        "Bright blocks along the diagonal show units that distinguish their class from the others. If a column looks the same in all rows, its "
        "unit contains no information about the class.",
        _features,
    ),
    Part(
        "confusion",
        "Which classes the network confuses",
        "Each row is a true class, and each column is a predicted class. Each cell shows the "
        "number of test images. Wrong predictions are coloured. The images below the table have "
        "the wrong predictions with the highest probability. Their text is: true class → "
        "predicted class.",
        _confusion,
    ),
    Part(
        "gradients",
        "Gradient norm by layer",
        "There is one line per layer and seed, dark for the first layer and light for the last. The "
        "scale is logarithmic and the same for all combinations. If the lines of the first layers are far below the lines of the last "
        "layers, little of the gradient reaches the first layers. With sgd or momentum, they then "
        "learn much more slowly. Optimizers such as adam divide each update by the size of the "
        "recent gradients, so their first layers can learn all the same.",
        _gradients,
        every_seed=True,
    ),
    Part(
        "activity",
        "Saturated outputs and dead units",
        f"Top: {DIAGNOSTICS['saturated_fraction'].sentences} Bottom: "
        f"{DIAGNOSTICS['dead_fraction'].sentences}",
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
            f"{diagnostic.sentences} There is one line per layer and seed. The scale is the same for "
            "all combinations.",
            partial(_other_diagnostic, kind),
            every_seed=True,
        )
        for kind, diagnostic in DIAGNOSTICS.items()
        if kind not in ("gradient_norm", "saturated_fraction", "dead_fraction")  # Shown above.
    ),
)
