"""One look inside a network in training: the arrays behind histograms, pictures and diagnostics.

Every inspection of every run on a data set looks at the same probe images, so that runs compare.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # What reads inspections back needs no TensorFlow.
    from lenet.data.sampling import Probe
    from lenet.networks.classifier import Classifier
    from lenet.training.steps import Steps

DIAGNOSTICS = ("gradient_norm", "update_ratio", "dead_fraction", "saturated_fraction")
# Larger kernels (a fully connected layer on big photographs) stay out of the files.
MOST_SAVED = 1_000_000


@dataclass(frozen=True)
class Layer:
    """One layer with weights, at one step.

    Attributes:
        kernel, bias: float32, as the layer has them.
        kernel_gradient, bias_gradient: of the mean loss over the probe images, same shapes.
        activation: float32 [n, …, units], the layer's output for the probe images.
        gradient_norm: the L2 norm of `kernel_gradient`.
        update_ratio: how much the last update moved the kernel, |w_s - w_(s-1)| / |w_(s-1)|
            in L2 norms; None at step 0.
        dead_fraction: the share of units (of kernels, in a convolution) that give one and the
            same output for all probe images.
        saturated_fraction: the share of outputs at which the activation's slope is below 0.01.
    """

    kernel: np.ndarray
    bias: np.ndarray
    kernel_gradient: np.ndarray
    bias_gradient: np.ndarray
    activation: np.ndarray
    gradient_norm: float
    update_ratio: float | None
    dead_fraction: float
    saturated_fraction: float

    def diagnostics(self) -> dict[str, float]:
        """The four numbers by name, without those there is nothing to say about."""
        return {name: value for name in DIAGNOSTICS if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Inspection:
    """Everything one look found.

    Attributes:
        step: updates made.
        layers: by name, in order.
        feature_maps: of the shown test image, by convolution: float32 [height, width, channels],
            after the activation.
        pre_activations: the same before the activation.
        features: float32 [n, d], the features of the probe images.
        feature_layer: the name of the layer they come from.
        labels: int32 [n], ascending.
    """

    step: int
    layers: dict[str, Layer]
    feature_maps: dict[str, np.ndarray]
    pre_activations: dict[str, np.ndarray]
    features: np.ndarray
    feature_layer: str
    labels: np.ndarray

    def class_means(self) -> np.ndarray:
        """The mean features of each class; float32 [classes, d]."""
        return np.stack([self.features[self.labels == c].mean(0) for c in np.unique(self.labels)])


def kernels(model: Classifier) -> dict[str, np.ndarray]:
    """A copy of every kernel, by layer."""
    return {name: np.asarray(layer.kernel).copy() for name, layer in model.weight_layers.items()}


def inspect(
    step: int, model: Classifier, steps: Steps, probe: Probe, before: dict[str, np.ndarray] | None
) -> Inspection:
    """Looks inside a network.

    Args:
        step: updates made.
        probe: what `steps` was compiled with.
        before: the kernels before the last update, or None at step 0.
    """
    found = {
        kind: {name: value.numpy() for name, value in by_layer.items()}
        for kind, by_layer in steps.inspect().items()
    }
    layers = {}
    for name, layer in model.weight_layers.items():
        kernel, gradient = np.asarray(layer.kernel), found["kernel_gradient"][name]
        layers[name] = Layer(
            kernel=kernel,
            bias=np.asarray(layer.bias),
            kernel_gradient=gradient,
            bias_gradient=found["bias_gradient"][name],
            activation=found["activation"][name],
            gradient_norm=float(np.linalg.norm(gradient)),
            update_ratio=None if before is None else update_ratio(before[name], kernel),
            dead_fraction=float(found["dead_fraction"][name]),
            saturated_fraction=float(found["saturated_fraction"][name]),
        )
    return Inspection(
        step,
        layers,
        found["feature_maps"],
        found["pre_activations"],
        layers[model.feature_layer].activation,
        model.feature_layer,
        probe.labels,
    )


def update_ratio(before: np.ndarray, after: np.ndarray) -> float:
    """|after - before| / |before| in L2 norms."""
    return float(np.linalg.norm(after - before) / max(np.linalg.norm(before), 1e-12))


def save(folder: Path, inspection: Inspection) -> Path:
    """Writes `step-<step>.npz`, whole or not at all.

    Its entries: `<layer>/kernel`, `<layer>/bias`, `<layer>/gradient_norm` and the other
    diagnostics, `<conv>/feature_maps`, `<conv>/pre_activations`, `<feature layer>/class_means`,
    `<feature layer>/by_class` (the features of the probe images) and `labels` (theirs). Kernels of more than a million weights are left out.

    Raises:
        OSError: the folder cannot be written.
    """
    arrays: dict[str, Any] = {}
    for name, layer in inspection.layers.items():
        if layer.kernel.size <= MOST_SAVED:
            arrays[f"{name}/kernel"] = layer.kernel
        arrays[f"{name}/bias"] = layer.bias
        for kind, value in layer.diagnostics().items():
            arrays[f"{name}/{kind}"] = np.float32(value)
    for name, maps in inspection.feature_maps.items():
        arrays[f"{name}/feature_maps"] = maps
        arrays[f"{name}/pre_activations"] = inspection.pre_activations[name]
    arrays[f"{inspection.feature_layer}/class_means"] = inspection.class_means()
    arrays[f"{inspection.feature_layer}/by_class"] = inspection.features
    arrays["labels"] = inspection.labels
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{inspection.step:08d}.npz"
    temporary = folder / f".writing-{path.name}"
    np.savez(temporary, **arrays)
    os.replace(temporary, path)
    return path


def load_all(folder: Path) -> dict[int, dict[str, np.ndarray]]:
    """Reads all inspections of a run, by step, ascending; see `save` for the names."""
    found = {}
    for path in sorted(folder.glob("step-*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            found[int(path.stem.removeprefix("step-"))] = dict(arrays)
    return found


def cut_after(folder: Path, step: int) -> None:
    """Removes the inspections past a step."""
    for path in folder.glob("step-*.npz"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink()
