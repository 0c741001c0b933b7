"""How a network processes one image: every layer's output, and what the answer depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lenet.analysis.trained import predict, softmax
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import to_float

FINEST = 28  # The patch moves to about this many positions along the shorter side.
PATCH_BRIGHTNESS = 128


@dataclass(frozen=True)
class Insight:
    """The outputs of a network for one image.

    Attributes:
        convolutions: feature maps by layer, float32 [height, width, channels].
        dense: outputs of the fully connected layers but the last, by layer, float32 [units].
        logits, probabilities: float32 [classes].
        contributions: what each feature adds to the logit of the predicted class, float32 [units].
        activations: the activation function of each of these layers, by layer.
    """

    convolutions: dict[str, np.ndarray]
    dense: dict[str, np.ndarray]
    logits: np.ndarray
    probabilities: np.ndarray
    contributions: np.ndarray
    activations: dict[str, str]

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


def look_inside(model: Classifier, image: np.ndarray) -> Insight:
    """Runs a network on one image and keeps the output of every layer, after its activation.

    Args:
        image: uint8 [height, width, channels].
    """
    outputs = {
        name: output.numpy()[0] for name, output in model.activations(to_float(image[None])).items()
    }
    layers = model.weight_layers
    hidden = {name: outputs[name] for name in layers if name != model.logits_layer}
    logits = outputs[model.logits_layer]
    kernel = layers[model.logits_layer].kernel.numpy()
    return Insight(
        {name: output for name, output in hidden.items() if output.ndim == 3},
        {name: output for name, output in hidden.items() if output.ndim == 1},
        logits,
        softmax(logits),
        outputs[model.feature_layer] * kernel[:, logits.argmax()],
        {name: layer.name.removeprefix(f"{name}_") for name, layer in model.act.items()},
    )


def occlude(model: Classifier, image: np.ndarray, label: int, patch: int) -> np.ndarray:
    """The probability of a class while a gray patch hides a part of the image, for every position.

    After M. Zeiler & R. Fergus, Visualizing and understanding convolutional networks, 2014.

    Args:
        image: uint8 [height, width, channels].
        patch: the side of the patch, in pixels; at the edges, a part of it is outside the image.

    Returns:
        The probability with the patch centred on each pixel, float32 [height, width], from 0 to 1.
    """
    height, width, _ = image.shape
    # For images much larger than MNIST's, moving the patch pixel by pixel would take too long.
    stride = max(1, min(height, width) // FINEST)
    rows, columns = (stride // 2 + np.arange(0, side, stride) for side in (height, width))
    probabilities = []
    for row in rows:
        top = max(0, row - patch // 2)
        hidden = np.repeat(image[None], len(columns), axis=0)
        for copy, column in zip(hidden, columns, strict=True):
            left = max(0, column - patch // 2)
            bottom, right = row - patch // 2 + patch, column - patch // 2 + patch
            copy[top:bottom, left:right] = PATCH_BRIGHTNESS
        probabilities.append(softmax(predict(model, hidden)[0])[:, label])
    heat = np.stack(probabilities)
    return heat.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]


def saliency_of(model: Classifier, image: np.ndarray, label: int) -> np.ndarray:
    """How much the logit of a class changes with each pixel: the absolute value of the gradient.

    After K. Simonyan, A. Vedaldi & A. Zisserman, Deep inside convolutional networks, 2013.

    Args:
        image: uint8 [height, width, channels].

    Returns:
        float32 [height, width], the maximum over the channels, for pixels from 0 to 1.
    """
    pixels = to_float(tf.constant(image[None]))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logit = model(pixels)[0][0, label]
    return np.abs(np.asarray(tape.gradient(logit, pixels)))[0].max(-1)
