"""Records what the convolutions and dense layers of any Keras model compute, as the model runs.

Keras calls `layer.call` of every layer, however the model is built. For one forward pass, each
layer gets a `call` that also keeps its result. The model itself is not changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

WITH_KERNEL = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv2D,
)
# Activations that are layers of their own. They belong to the layer with weights before them.
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.Softmax,
)
# Layers that may stand between a layer with weights and its activation.
BETWEEN = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)
MIXES_UNITS = ("softmax", "log_softmax")


@dataclass
class Watched:
    """The tensors of one forward pass, by layer, in the order of the pass.

    Attributes:
        before, outputs: each layer's output before and after its activation.
        inputs: each layer's input.
        without_slope: the layers whose activation mixes several units.
    """

    before: dict[str, tf.Tensor] = field(default_factory=dict)
    outputs: dict[str, tf.Tensor] = field(default_factory=dict)
    inputs: dict[str, tf.Tensor] = field(default_factory=dict)
    without_slope: set[str] = field(default_factory=set)


def layers_with_kernel(model: keras.Model) -> dict[str, Any]:
    """All convolutions and dense layers of a model, also those of models inside it, by name.

    If two layers have the same name, their names contain the names of their models too.

    Raises:
        ValueError: the model has no such layer, or a layer has no weights yet.
    """
    # Keras has no public way to list the layers of a custom layer. `_flatten_layers` is what its
    # own `summary` and `get_layer` rely on.
    flat = model._flatten_layers(include_self=False, recursive=True)
    layers = [layer for layer in flat if isinstance(layer, WITH_KERNEL)]
    if not layers:
        raise ValueError(
            "Expected a model with at least one convolution or dense layer. Received: "
            f"{type(model).__name__} {model.name!r}"
        )
    for layer in layers:
        if not layer.built:
            raise ValueError(
                f"Expected every layer to be built. Layer {layer.name!r} of {model.name!r} has no "
                "weights, because the model does not call it."
            )
    names = [layer.name for layer in layers]
    unique = [
        layer.path if names.count(layer.name) > 1 and layer.path else layer.name for layer in layers
    ]
    return {
        name if unique.index(name) == index else f"{name}_{index}": layer
        for index, (name, layer) in enumerate(zip(unique, layers, strict=True))
    }


@contextlib.contextmanager
def watching(
    model: keras.Model, layers: dict[str, Any], tape: tf.GradientTape
) -> Iterator[Watched]:
    """Records every layer in the forward passes of the block. A second call of a layer is ignored.

    Args:
        layers: the layers with weights, see `layers_with_kernel`.
        tape: it will watch every output before its activation, so that it knows the slopes.
    """
    recorder = _Recorder(Watched(), tape)
    changed: list[tuple[Any, str, Any]] = []

    def replace(layer: Any, attribute: str, function: Any) -> None:
        changed.append((layer, attribute, vars(layer).get(attribute)))
        vars(layer)[attribute] = function  # Keras checks and tracks what setattr sets.

    try:
        for name, layer in layers.items():
            replace(layer, "call", recorder.weights(name, layer))
            replace(layer, "activation", recorder.own_activation(name, layer))
        for layer in model._flatten_layers(include_self=False, recursive=True):
            if isinstance(layer, ACTIVATIONS):
                replace(layer, "call", recorder.activation(layer))
            elif isinstance(layer, BETWEEN):
                replace(layer, "call", recorder.between(layer))
        yield recorder.seen
    finally:
        for layer, attribute, original in reversed(changed):
            if original is None and attribute == "call":
                del vars(layer)[attribute]  # The method of its class.
            else:
                vars(layer)[attribute] = original


class _Recorder:
    """Makes the functions that replace those of the layers."""

    def __init__(self, seen: Watched, tape: tf.GradientTape) -> None:
        self.seen, self._tape = seen, tape
        # The layer with weights whose output, not yet activated, is this tensor. The tensors are
        # kept, because Python gives the `id` of a deleted object to a new one.
        self._waiting: dict[int, tuple[str, Any]] = {}

    def own_activation(self, name: str, layer: Any) -> Any:
        original = layer.activation

        def activation(x: Any) -> Any:
            self._before(name, x)
            return x if original is None else original(x)

        if _name_of(original) in MIXES_UNITS:
            self.seen.without_slope.add(name)
        return activation

    def weights(self, name: str, layer: Any) -> Any:
        call, linear = layer.call, _name_of(layer.activation) in ("linear", "")

        def watched_call(x: Any, *args: Any, **kwargs: Any) -> Any:
            first = name not in self.seen.outputs
            result = call(x, *args, **kwargs)
            if first:
                self.seen.inputs[name] = x
                self.seen.outputs[name] = result
                if linear:
                    self._waiting[id(result)] = (name, result)
            return result

        return watched_call

    def between(self, layer: Any) -> Any:
        call = layer.call

        def watched_call(x: Any, *args: Any, **kwargs: Any) -> Any:
            result = call(x, *args, **kwargs)
            if id(x) in self._waiting:
                self._waiting[id(result)] = (self._waiting[id(x)][0], result)
            return result

        return watched_call

    def activation(self, layer: Any) -> Any:
        call = layer.call
        mixes = isinstance(layer, keras.layers.Softmax) or (
            _name_of(getattr(layer, "activation", None)) in MIXES_UNITS
        )

        def watched_call(x: Any, *args: Any, **kwargs: Any) -> Any:
            name, _ = self._waiting.pop(id(x), ("", None))
            if not name:
                return call(x, *args, **kwargs)
            del self.seen.before[name]
            self._before(name, x)
            result = call(x, *args, **kwargs)
            self.seen.outputs[name] = result
            if mixes:
                self.seen.without_slope.add(name)
            return result

        return watched_call

    def _before(self, name: str, x: Any) -> None:
        if name not in self.seen.before:
            self._tape.watch(x)
            self.seen.before[name] = x


def _name_of(activation: Any) -> str:
    """The name of an activation function; "" for None."""
    return getattr(activation, "__name__", type(activation).__name__) if activation else ""
