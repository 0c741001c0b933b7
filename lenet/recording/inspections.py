"""Inspections: the arrays behind histograms, images and diagnostics, and their files.

Every inspection of every run on a data set uses the same probe images, so that runs are comparable.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenet import files, reading
from lenet.diagnostics import DIAGNOSTICS
from lenet.recording import runs

# Larger kernels (a fully connected layer on large photographs) are not saved.
MAXIMUM_SAVED = 1_000_000
# The possible numbers of dimensions of each kind of array. Diagnostics are single numbers.
DIMENSIONS = {
    "kernel": (2, 4),
    "bias": (1,),
    "feature_maps": (3,),
    "pre_activations": (3,),
    "class_means": (2,),
    "by_class": (2,),
    "labels": (1,),
}


@dataclass(frozen=True)
class Layer:
    """One layer with weights, at one step.

    Attributes:
        kernel, bias: float32, in the layer's own shapes; bias is None if the layer has none.
        kernel_gradient, bias_gradient: the gradients of the mean loss over the probe images, in the
            same shapes.
        activation: float32 [n, …, units], the layer's output for the probe images.
        diagnostics: values by the names in `diagnostics.DIAGNOSTICS`. At step 0 there is no update
            yet, and therefore no update ratio.
    """

    kernel: np.ndarray
    bias: np.ndarray | None
    kernel_gradient: np.ndarray
    bias_gradient: np.ndarray | None
    activation: np.ndarray
    diagnostics: Mapping[str, float]


@dataclass(frozen=True)
class Inspection:
    """Everything that one inspection recorded.

    Attributes:
        step: the number of updates so far.
        layers: the layers with weights by name, in order.
        feature_maps: the feature maps of the shown test image by convolution, float32 [height,
            width, channels], after the activation.
        pre_activations: the same maps before the activation.
        features: float32 [n, d], the features of the probe images; None if they are no vectors.
        feature_layer: the name of the layer that computes them.
        labels: int32 [n], ascending; None if the images have no classes.
    """

    step: int
    layers: dict[str, Layer]
    feature_maps: dict[str, np.ndarray]
    pre_activations: dict[str, np.ndarray]
    features: np.ndarray | None
    feature_layer: str
    labels: np.ndarray | None

    def class_means(self) -> np.ndarray:
        """The mean features of each class; float32 [classes, d]."""
        assert self.features is not None and self.labels is not None
        by_class = [self.features[self.labels == label] for label in np.unique(self.labels)]
        # In float64, because the sum of large values does not fit into float32. Their mean does.
        return np.stack([values.mean(0, np.float64) for values in by_class]).astype(np.float32)


def save(folder: Path, inspection: Inspection) -> Path:
    """Writes `step-<step>.npz`, complete or not at all.

    Its entries: `<layer>/kernel`, `<layer>/bias`, `<layer>/gradient_norm` and the other
    diagnostics, `<conv>/feature_maps`, `<conv>/pre_activations`, `<feature layer>/class_means`,
    `<feature layer>/by_class` (the features of the probe images) and `labels` (their labels).
    Kernels of more than a million weights are left out.

    Raises:
        OSError: the folder cannot be written.
    """
    arrays: dict[str, Any] = {}
    for name, layer in inspection.layers.items():
        if layer.kernel.size <= MAXIMUM_SAVED:
            arrays[f"{name}/kernel"] = layer.kernel
        arrays[f"{name}/bias"] = layer.bias
        for kind, value in layer.diagnostics.items():
            arrays[f"{name}/{kind}"] = np.float32(value)
    for name, maps in inspection.feature_maps.items():
        arrays[f"{name}/feature_maps"] = maps
        arrays[f"{name}/pre_activations"] = inspection.pre_activations[name]
    if inspection.features is not None and inspection.labels is not None:
        arrays[f"{inspection.feature_layer}/class_means"] = inspection.class_means()
        arrays[f"{inspection.feature_layer}/by_class"] = inspection.features
        arrays["labels"] = inspection.labels
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    folder.mkdir(exist_ok=True)
    path = folder / runs.step_name(inspection.step, ".npz")
    files.write(path, packed.getvalue())
    return path


def paths(folder: Path | str) -> dict[int, Path]:
    """The files of a run's inspections, by step, ascending."""
    return runs.by_step(folder, ".npz")


def load(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """Reads one inspection; see `save` for the names.

    Args:
        wanted: returns whether to read the array with a name.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged; the message names it.
    """
    arrays = reading.read_arrays(path, wanted)
    for name, array in arrays.items():
        kind = name.rpartition("/")[2]
        known = (0,) if kind in DIAGNOSTICS else DIMENSIONS.get(kind, (array.ndim,))
        if array.ndim not in known or array.dtype.kind not in "iuf":
            raise ValueError(f"{path} is damaged: {name} is {array.dtype} {list(array.shape)}")
    features = [array for name, array in arrays.items() if name.endswith("/by_class")]
    if "labels" in arrays and any(len(array) != len(arrays["labels"]) for array in features):
        raise ValueError(f"{path} is damaged: its features and labels differ in number")
    return arrays


def load_all(
    folder: Path | str, warn: Callable[[str], None] = print
) -> dict[int, dict[str, np.ndarray]]:
    """Reads all inspections of a run, by step, ascending; see `save` for the names.

    Args:
        warn: called with a message for each inspection that is damaged and therefore left out.
    """
    recorded: dict[int, dict[str, np.ndarray]] = {}
    for step, path in paths(folder).items():
        try:
            arrays = load(path)
            _check_same_shapes(path, arrays, recorded)
        except (OSError, ValueError) as error:
            warn(f"left out a damaged inspection: {error}")
        else:
            recorded[step] = arrays
    return recorded


def _check_same_shapes(
    path: Path, arrays: dict[str, np.ndarray], recorded: dict[int, dict[str, np.ndarray]]
) -> None:
    """Raises a ValueError if an array's shape differs from that in an earlier inspection."""
    first = next(iter(recorded.values()), {})
    for name in arrays.keys() & first.keys():
        if arrays[name].shape != first[name].shape:
            raise ValueError(f"{path} is damaged: {name} has the shape {list(arrays[name].shape)}")


def read_diagnostics(
    folder: Path, problems: list[str]
) -> tuple[dict[str, dict[str, tuple[np.ndarray, np.ndarray]]], dict[int, Path]]:
    """The diagnostics of all inspections, by kind and then by layer, in order of depth.

    Args:
        problems: a sentence on each file that cannot be read is added here.

    Returns:
        The diagnostics, and the files of the inspections that can be read, by step.
    """
    points: dict[str, dict[str, list[tuple[int, float]]]] = {}
    readable: dict[int, Path] = {}
    for step, path in paths(folder).items():
        try:
            arrays = load(path, lambda name: name.rpartition("/")[2] in DIAGNOSTICS)
        except (OSError, ValueError) as error:
            problems.append(f"An inspection is left out: {error}")
            continue
        readable[step] = path
        for name, array in arrays.items():
            layer, _, kind = name.rpartition("/")
            points.setdefault(kind, {}).setdefault(layer, []).append((step, float(array)))
    curves = {
        kind: {
            layer: (np.array([s for s, _ in series]), np.array([v for _, v in series]))
            for layer, series in layers.items()
        }
        for kind, layers in points.items()
    }
    return curves, readable


def cut_after(folder: Path, step: int) -> None:
    """Removes the inspections after a step."""
    for later, path in paths(folder).items():
        if later > step:
            files.remove(path)
