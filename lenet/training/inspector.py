"""Measures gradients, activations and slopes of a network in training, always on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from lenet.data.sampling import Probe
from lenet.diagnostics import DEAD_RANGE, SATURATED_SLOPE
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import to_float
from lenet.recording.inspections import Inspection, Layer
from lenet.training.steps import loss_and_hits


class Inspector:
    """Inspects one network with the probe images.

    Args:
        model: a network with its initial weights.
        probe: the images for all measurements.
    """

    def __init__(self, model: Classifier, probe: Probe) -> None:
        self._model, self._probe = model, probe
        self._images, self._labels = tf.constant(probe.images), tf.constant(probe.labels)
        self._shown_image = tf.constant(probe.test_image[None])
        self._first_kernels = self._copy_kernels()
        self._kernels_before: dict[str, np.ndarray] | None = None
        self._measure = tf.function(self._measurements, input_signature=[], autograph=False)

    def before_update(self) -> None:
        """Keeps a copy of every kernel. Call it just before the update to be measured."""
        self._kernels_before = self._copy_kernels()

    def inspect(self, step: int) -> Inspection:
        """Inspects the network in its current state.

        Args:
            step: number of updates so far. The update ratio is for the update since
                `before_update`.
        """
        measured = self.measure()
        layers = {}
        for name, layer in self._model.weight_layers.items():
            kernel, gradient = np.asarray(layer.kernel), measured["kernel_gradient"][name]
            diagnostics = {
                "gradient_norm": float(np.linalg.norm(gradient)),
                "distance_moved": relative_change(self._first_kernels[name], kernel),
                "slope": float(measured["slope"][name]),
                "dead_fraction": float(measured["dead_fraction"][name]),
                "saturated_fraction": float(measured["saturated_fraction"][name]),
            }
            if self._kernels_before is not None:
                before = self._kernels_before[name]
                diagnostics["update_ratio"] = relative_change(before, kernel)
            layers[name] = Layer(
                kernel=kernel,
                bias=np.asarray(layer.bias),
                kernel_gradient=gradient,
                bias_gradient=measured["bias_gradient"][name],
                activation=measured["activation"][name],
                diagnostics=diagnostics,
            )
        return Inspection(
            step=step,
            layers=layers,
            feature_maps=measured["feature_maps"],
            pre_activations=measured["pre_activations"],
            features=layers[self._model.feature_layer].activation,
            feature_layer=self._model.feature_layer,
            labels=self._probe.labels,
        )

    def measure(self) -> dict[str, dict[str, np.ndarray]]:
        """The measurements on the probe images, by kind and then by layer."""
        return {
            kind: {name: value.numpy() for name, value in by_layer.items()}
            for kind, by_layer in self._measure().items()
        }

    def _copy_kernels(self) -> dict[str, np.ndarray]:
        layers = self._model.weight_layers.items()
        return {name: np.asarray(layer.kernel).copy() for name, layer in layers}

    def _measurements(self) -> dict[str, dict[str, Any]]:
        model, layers = self._model, self._model.weight_layers
        with tf.GradientTape(persistent=True) as tape:
            outputs, before = model.forward(to_float(self._images))
            losses, _ = loss_and_hits(outputs[model.logits_layer], self._labels)
            loss = tf.reduce_mean(losses)
        kernels = [layer.kernel for layer in layers.values()]
        biases = [layer.bias for layer in layers.values()]
        # Each output depends only on its own pre-activation. The gradient is therefore the slope
        # of the activation function at that point.
        slopes: dict[str, Any] = {
            name: tape.gradient(outputs[name], before[name]) for name in layers
        }
        shown, shown_before = model.forward(to_float(self._shown_image))
        convolutions = [name for name in layers if len(shown[name].shape) == 4]
        return {
            "kernel_gradient": dict(zip(layers, tape.gradient(loss, kernels), strict=True)),
            "bias_gradient": dict(zip(layers, tape.gradient(loss, biases), strict=True)),
            "activation": {name: outputs[name] for name in layers},
            "slope": {
                name: tf.sqrt(tf.reduce_mean(tf.square(slope))) for name, slope in slopes.items()
            },
            "dead_fraction": {name: dead_fraction(outputs[name]) for name in layers},
            "saturated_fraction": {
                name: tf.reduce_mean(tf.cast(tf.abs(slope) < SATURATED_SLOPE, tf.float32))
                for name, slope in slopes.items()
            },
            "feature_maps": {name: shown[name][0] for name in convolutions},
            "pre_activations": {name: shown_before[name][0] for name in convolutions},
        }


def dead_fraction(activation: tf.Tensor) -> tf.Tensor:
    """The share of units whose output is the same for all images and at all positions.

    Args:
        activation: float32 [n, …, units]; in a convolution, a unit is a kernel.

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
    return float(np.linalg.norm(after - before) / max(np.linalg.norm(before), 1e-12))
