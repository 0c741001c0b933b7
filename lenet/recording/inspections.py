"""Inspections: the arrays behind histograms, images and diagnostics, and their files.

Every inspection of every run on a data set uses the same probe images, so that runs are comparable.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenet import files
from lenet.recording import runs

# Larger kernels (a fully connected layer on large photographs) are not saved.
MAXIMUM_SAVED = 1_000_000


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
        return np.stack([self.features[self.labels == c].mean(0) for c in np.unique(self.labels)])


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


def load_all(folder: Path | str) -> dict[int, dict[str, np.ndarray]]:
    """Reads all inspections of a run, by step, ascending; see `save` for the names."""
    recorded = {}
    for step, path in paths(folder).items():
        with np.load(path, allow_pickle=False) as arrays:
            recorded[step] = dict(arrays)
    return recorded


def cut_after(folder: Path, step: int) -> None:
    """Removes the inspections after a step."""
    for later, path in paths(folder).items():
        if later > step:
            path.unlink()
