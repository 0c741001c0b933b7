"""Checks the layers of a network before it is built, so that a mistake has a clear message."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras

WITH_WEIGHTS = (keras.layers.Conv2D, keras.layers.Dense)


def check_stack(
    name: str, stack: Sequence[Any], num_classes: int, feature_layer: str, logits_layer: str
) -> None:
    """Checks the order and the kinds of a network's layers.

    Args:
        name: the name of the network, for messages.
        stack: see `Classifier.stack`.
        feature_layer, logits_layer: the names that the class gives.

    Raises:
        ValueError: `Classifier` cannot train such a network; the message says why.
    """

    def expect(holds: bool, expected: str, received: object) -> None:
        if not holds:
            raise ValueError(f"Expected {expected} in network {name!r}. Received: {received}")

    names = [layer.name for layer in stack]
    expect(len(set(names)) == len(names), "layers with different names", ", ".join(names))
    flattens = [isinstance(layer, keras.layers.Flatten) for layer in stack]
    expect(sum(flattens) == 1, "exactly one Flatten layer", sum(flattens))
    for index, layer in enumerate(stack):
        where = f"layer {layer.name!r}, {type(layer).__name__}"
        if isinstance(layer, WITH_WEIGHTS):
            own = keras.activations.serialize(layer.activation)
            expect(own == "linear", "no activations of the layers' own", f"{where}, {own}")
            expect(layer.use_bias, "layers with a bias", f"{where}, without one")
            dense = isinstance(layer, keras.layers.Dense)
            right_place = dense == (index > flattens.index(True))
            expect(right_place, "convolutions before Flatten and Dense layers after it", where)
        else:
            random = hasattr(layer, "seed_generator") and not isinstance(
                layer, keras.layers.Dropout
            )
            norm = isinstance(layer, keras.layers.BatchNormalization)
            expect(not (random or norm), "layers without a state of their own", where)
    dense = [layer.name for layer in stack if isinstance(layer, keras.layers.Dense)]
    last_is_logits = names[-1] == logits_layer and stack[-1].name in dense
    expect(last_is_logits, f"the last layer to be the Dense layer {logits_layer!r}", names[-1])
    units = stack[-1].units
    expect(units == num_classes, f"{num_classes} logits, one for each class", units)
    known = feature_layer in dense[:-1]
    expect(known, f"a Dense layer {feature_layer!r} before the last one", ", ".join(names))


def check_size(name: str, stack: Sequence[Any], image_shape: tuple[int, int, int]) -> None:
    """Checks that the images are large enough.

    Raises:
        ValueError: a layer's output would have no pixels.
    """
    received = min(image_shape[:2])
    if _smallest_map(stack, received) < 1:
        needed = next(size for size in itertools.count(1) if _smallest_map(stack, size) >= 1)
        raise ValueError(
            f"Expected images of at least {needed}x{needed} pixels for model {name!r}. "
            f"Received: {image_shape[0]}x{image_shape[1]}"
        )


def _smallest_map(stack: Sequence[Any], side: int) -> int:
    """The side of the last feature maps from the side of the images, both in pixels."""
    for layer in stack:
        if isinstance(layer, keras.layers.Conv2D):
            window, stride = (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides
        elif hasattr(layer, "pool_size"):
            window, stride = layer.pool_size[0], layer.strides
        else:
            continue
        stride = stride[0] if isinstance(stride, tuple) else stride
        side = side - window + 1 if layer.padding == "valid" else side
        side = -(-side // stride)
    return side
