"""Measures gradients, activations and slopes of a network in training, always on the same images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lenet.data.sampling import Probe
from lenet.diagnostics import DEAD_RANGE, SATURATED_SLOPE
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import to_float
from lenet.recording.inspections import Inspection, Layer
from lenet.training.steps import loss_and_hits

Measured = dict[str, dict[str, Any]]
"""Measurements by kind and then by layer: tensors, or arrays after `as_arrays`."""


class ProbeInspector:
    """Inspects one network of this package with the probe images.

    Args:
        model: a network with its initial weights.
        probe: the images for all measurements.
    """

    def __init__(self, model: Classifier, probe: Probe) -> None:
        self._model, self._probe = model, probe
        self._images, self._labels = tf.constant(probe.images), tf.constant(probe.labels)
        self._shown_image = tf.constant(probe.test_image[None])
        self._first_kernels = copied_kernels(model.weight_layers)
        self._kernels_before: dict[str, np.ndarray] = {}
        self._measure = tf.function(self._measurements, input_signature=[], autograph=False)

    def before_update(self) -> None:
        """Keeps a copy of every kernel. Call it just before the update to be measured."""
        self._kernels_before = copied_kernels(self._model.weight_layers)

    def inspect(self, step: int, after_update: bool = True) -> Inspection:
        """Inspects the network in its current state.

        Args:
            step: number of updates so far.
            after_update: whether the last update was made since `before_update`; only then is
                there an update ratio.
        """
        measured = self.measure()
        before = self._kernels_before if after_update else {}
        layers = as_layers(self._model.weight_layers, measured, self._first_kernels, before)
        return Inspection(
            step=step,
            layers=layers,
            feature_maps=measured["feature_maps"],
            pre_activations=measured["pre_activations"],
            features=layers[self._model.feature_layer].activation,
            feature_layer=self._model.feature_layer,
            labels=self._probe.labels,
        )

    def measure(self) -> Measured:
        """The measurements on the probe images as arrays."""
        return as_arrays(self._measure())

    def _measurements(self) -> Measured:
        model, layers = self._model, self._model.weight_layers
        with tf.GradientTape(persistent=True) as tape:
            outputs, before = model.forward(to_float(self._images))
            losses, _ = loss_and_hits(outputs[model.logits_layer], self._labels)
            loss = tf.reduce_mean(losses)
        shown, shown_before = model.forward(to_float(self._shown_image))
        convolutions = [name for name in layers if len(shown[name].shape) == 4]
        return measurements(tape, loss, layers, outputs, before) | {
            "feature_maps": {name: shown[name][0] for name in convolutions},
            "pre_activations": {name: shown_before[name][0] for name in convolutions},
        }


def measurements(
    tape: tf.GradientTape,
    loss: tf.Tensor,
    layers: Mapping[str, Any],
    outputs: Mapping[str, tf.Tensor],
    before: Mapping[str, tf.Tensor],
    without_slope: Collection[str] = (),
) -> Measured:
    """What one forward pass tells about every layer with weights.

    Args:
        tape: a persistent tape that has recorded the pass and the loss.
        layers: the layers, by name; a layer without a bias has None as its `bias`.
        outputs, before: the output of each layer after and before its activation.
        without_slope: layers whose activation mixes several units, as softmax does.
    """
    kernels = {name: layer.kernel.value for name, layer in layers.items()}
    biases = {name: layer.bias.value for name, layer in layers.items() if layer.bias is not None}
    gradients: Any = tape.gradient(
        loss, [kernels, biases], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    # Each output depends only on its own pre-activation. The gradient is therefore the slope
    # of the activation function at that point.
    slopes: dict[str, Any] = {
        name: tape.gradient(outputs[name], before[name])
        for name in layers
        if name not in without_slope
    }
    return {
        "kernel_gradient": gradients[0],
        "bias_gradient": gradients[1],
        "activation": {name: outputs[name] for name in layers},
        "slope": {
            name: tf.sqrt(tf.reduce_mean(tf.square(slope))) for name, slope in slopes.items()
        },
        "dead_fraction": {name: dead_fraction(outputs[name]) for name in layers},
        "saturated_fraction": {
            name: tf.reduce_mean(tf.cast(tf.abs(slope) < SATURATED_SLOPE, tf.float32))
            for name, slope in slopes.items()
        },
    }


def as_arrays(measured: Measured) -> Measured:
    """The tensors of `measurements` as float32 arrays."""
    return {
        kind: {name: np.asarray(value, np.float32) for name, value in by_layer.items()}
        for kind, by_layer in measured.items()
    }


def as_layers(
    layers: Mapping[str, Any],
    measured: Measured,
    first_kernels: Mapping[str, np.ndarray],
    kernels_before: Mapping[str, np.ndarray],
) -> dict[str, Layer]:
    """The layers as they are recorded.

    Args:
        layers: the layers with weights, by name.
        measured: arrays, see `measurements`.
        first_kernels: the initial kernels; {} if they are not known.
        kernels_before: the kernels before the last update; {} if they are not known.
    """
    recorded = {}
    for name, layer in layers.items():
        kernel, gradient = np.asarray(layer.kernel), measured["kernel_gradient"][name]
        diagnostics = {"gradient_norm": norm(gradient)}
        for kind in ("slope", "dead_fraction", "saturated_fraction"):
            if name in measured[kind]:
                diagnostics[kind] = float(measured[kind][name])
        for kind, kernels in (("distance_moved", first_kernels), ("update_ratio", kernels_before)):
            if name in kernels:
                diagnostics[kind] = relative_change(kernels[name], kernel)
        recorded[name] = Layer(
            kernel=kernel,
            bias=None if layer.bias is None else np.asarray(layer.bias),
            kernel_gradient=gradient,
            bias_gradient=measured["bias_gradient"].get(name),
            activation=measured["activation"][name],
            diagnostics=diagnostics,
        )
    return recorded


def copied_kernels(layers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A copy of the kernel of every layer with weights, by name."""
    return {name: np.asarray(layer.kernel).copy() for name, layer in layers.items()}


def dead_fraction(activation: tf.Tensor) -> tf.Tensor:
    """The share of units whose output is the same for all images and at all positions.

    Args:
        activation: float [n, …, units]; in a convolution, a unit is a kernel.

    Returns:
        float32 [], from 0 to 1.
    """
    # Over the images first, because this follows the order in memory and is twenty times as fast.
    maximum, minimum = tf.reduce_max(activation, 0), tf.reduce_min(activation, 0)
    positions = list(range(len(activation.shape) - 2))
    span = tf.reduce_max(maximum, positions) - tf.reduce_min(minimum, positions)
    return tf.reduce_mean(tf.cast(span <= DEAD_RANGE, tf.float32))


def relative_change(before: np.ndarray, after: np.ndarray) -> float:
    """|after - before| / |before|, with L2 norms."""
    return norm(np.subtract(after, before, dtype=np.float64)) / max(norm(before), 1e-12)


def norm(values: np.ndarray) -> float:
    """The L2 norm. In float64, because the squares of large weights do not fit into float32."""
    return float(np.linalg.norm(values.astype(np.float64)))
