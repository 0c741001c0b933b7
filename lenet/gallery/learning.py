"""Figures of the training itself: curves, diagnostics layer by layer, animations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import animation, curves
from lenet.gallery.captioned import CaptionedFigure
from lenet.recording import events, runs

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData


def learning_curves(data: RunData) -> Iterator[CaptionedFigure]:
    """Loss and accuracy over the steps."""
    train, test = _curves(data, "train"), _curves(data, "test")
    validation = _curves(data, "validation") if data.dataset.validation is not None else None
    kept = runs.read_status(data.run.path).get("best_step")
    title = f"Learning curves: {data.run.title}"
    caption = (
        "Blue shows each training batch, orange all test images. If both losses fall together, the "
        "network learns. If blue falls while orange rises, the network has begun to memorize the "
        "training images. If both stay on the dotted line, it has not begun to learn."
    )
    if validation is not None:
        caption += " Green shows the validation images, which are not used for training."
    if kept is not None:
        caption += (
            f" The vertical line is at step {kept:,}, where the validation loss was lowest. Early "
            "stopping has kept the weights of this step. With them, the test accuracy of the run was "
            "measured."
        )
    yield CaptionedFigure(
        "learning_curves",
        curves.learning_curves(train, test, len(data.class_names), title, validation, kept),
        caption,
    )


def _curves(data: RunData, split: str) -> dict[str, curves.Curve]:
    """Loss and accuracy of a split over the steps. What its event files lack is empty, and is said."""
    folder = data.run.path / split
    recorded = events.read_scalars(folder)
    if missing := [tag for tag in ("loss", "accuracy") if tag not in recorded]:
        data.warn(f"no {' and '.join(missing)} of {split}: the event files in {folder} are damaged")
    nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return dict.fromkeys(missing, nothing) | recorded


def diagnostics(data: RunData) -> Iterator[CaptionedFigure]:
    """The diagnostics of every layer over the steps, if the run recorded them."""
    kinds = {
        kind: {
            name: curve
            for name in data.kernels
            if (curve := _recorded_curve(data, f"{name}/{kind}"))[0].size
        }
        for kind in DIAGNOSTICS
    }
    if not any(kinds.values()):
        data.warn("no diagnostics, because the run recorded no inspections (--inspect-every 0)")
        return
    yield CaptionedFigure(
        "diagnostics",
        curves.diagnostics(kinds, f"Layer by layer: {data.run.title}"),
        "A gradient norm that falls by powers of ten from the last layer to the first is a "
        "vanishing gradient. An update ratio near 1/1,000 is healthy. The distance moved shows how "
        "far a kernel is from its initial weights, relative to their size. The slope is the factor "
        "by which the activation function scales a gradient on its way back. Dead units give the same "
        "output for every image. Saturated outputs let hardly any gradient through (for ReLU: "
        "every output at zero).",
    )


def evolution(data: RunData) -> Iterator[CaptionedFigure]:
    """GIFs with one frame per inspection, if the run recorded at least two."""
    if len(data.recorded) < 2:
        data.warn("no animations, because the run recorded fewer than two inspections")
        return
    stamps = step_stamps(data)
    for name in data.convolutions:
        yield _animated(
            f"kernel_evolution_{name}",
            animation.kernel_frames(_recorded(data, f"{name}/kernel")),
            stamps,
            f"{name}: kernels during training",
            "Random noise turns into detectors. Most of the change happens in the first steps.",
        )
        yield _animated(
            f"feature_map_evolution_{name}",
            animation.feature_map_frames(_recorded(data, f"{name}/feature_maps")),
            stamps,
            f"{name}: feature maps of one test image, after the activation",
            "All frames show the same test image. Watch strokes and edges appear. Each map has a scale of "
            "its own, from its minimum to its maximum in each frame.",
        )
    if data.pixel_layer is not None:
        yield from _weight_images_evolution(data, data.pixel_layer, stamps)


def _weight_images_evolution(
    data: RunData, name: str, stamps: list[str]
) -> Iterator[CaptionedFigure]:
    kernels = _recorded(data, f"{name}/kernel")
    if len(kernels) < len(stamps):
        data.warn(f"no animation of {name}, because its kernel is too large to be recorded")
        return
    yield _animated(
        f"weight_images_evolution_{name}",
        animation.unit_image_frames([data.as_images(kernel) for kernel in kernels]),
        stamps,
        f"{name}: weights of the first units during training",
        "Strokes appear in the random noise where the images vary. The weights of pixels that are "
        "always black do not change.",
    )


def step_stamps(data: RunData) -> list[str]:
    """One line per inspection, with its step and the latest test accuracy at that step."""
    steps, accuracies = events.read_scalars(data.run.path / "test")["accuracy"]
    stamps = []
    for step in data.recorded:
        known = accuracies[np.searchsorted(steps, step, side="right") - 1]
        stamps.append(f"step {step:,}   test accuracy {100 * known:.1f} %")
    return stamps


def _animated(
    name: str, frames: list[np.ndarray], stamps: list[str], title: str, caption: str
) -> CaptionedFigure:
    still = animation.still(frames[-1], stamps[-1], title)
    return CaptionedFigure(name, animation.gif(frames, stamps, title), caption, ".gif", still)


def _recorded(data: RunData, key: str) -> list[np.ndarray]:
    return [arrays[key] for arrays in data.recorded.values() if key in arrays]


def _recorded_curve(data: RunData, key: str) -> tuple[np.ndarray, np.ndarray]:
    steps = [step for step, arrays in data.recorded.items() if key in arrays]
    return np.array(steps, np.int64), np.array(_recorded(data, key), np.float64)
