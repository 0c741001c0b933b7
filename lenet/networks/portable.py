"""A trained network as an ordinary Keras model, which other programs can load without this package."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from lenet.networks.classifier import Classifier
from lenet.networks.stack_checks import WITH_WEIGHTS

INPUT, OUTPUT = "image", "probabilities"


def portable(model: Classifier, image_shape: tuple[int, int, int]) -> keras.Model:
    """The same network from Keras's own layers, from pixels to probabilities.

    Args:
        image_shape: height, width and channels.

    Returns:
        A functional model with a copy of the weights. Its input is uint8 [n, height, width,
        channels]; the scaling to 0–1 and the subtraction of the mean are layers. Its output is
        the probability of each class, float32 [n, classes].
    """
    images = keras.Input(image_shape, dtype="uint8", name=INPUT)
    mean = [] if model.mean is None else np.asarray(model.mean).tolist()
    offset: Any = [-value for value in mean] or 0.0
    x = keras.layers.Rescaling(1 / 255, offset, name="scaling")(images)
    for layer in model.stacked:
        x = _copy(layer)(x)
        if layer.name in model.act:
            x = _copy(model.act[layer.name])(x)
    made = keras.Model(images, keras.layers.Softmax(name=OUTPUT)(x), name=model.name)
    for name, layer in model.weight_layers.items():
        made.get_layer(name).set_weights([np.asarray(layer.kernel), np.asarray(layer.bias)])
    return made


def _copy(layer: Any) -> Any:
    """A new layer with the same settings, but the standard initializers."""
    config = layer.get_config()
    if isinstance(layer, WITH_WEIGHTS):
        config["kernel_initializer"] = "glorot_uniform"
        config["bias_initializer"] = "zeros"
    return type(layer).from_config(config)
