"""What each unit looks for: the images that excite it most, and images computed to excite it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lenet.networks.classifier import Classifier
from lenet.networks.inputs import images_at_once, to_float

STEPS, STEP_SIZE = 64, 0.05
JITTER = 1  # pixels
DECAY = 0.02  # The share of the contrast that each step removes.
NOISE = 0.05
AT_ONCE = 64  # units
TOP = 9  # images for each unit
MOMENTS = 6  # Images during training are computed for this many moments.


@dataclass(frozen=True)
class TopImages:
    """The images with the highest values of each unit of one layer, before its activation.

    Attributes:
        indices: int64 [units, n], the positions of the images, the highest value first.
        values: float32 [units, n].
        corners: int64 [units, n, 2], top and left pixel of the patch on which the value depends. A
            part of the patch may be outside the image.
        patch: height and width of the patches, in pixels.
    """

    indices: np.ndarray
    values: np.ndarray
    corners: np.ndarray
    patch: tuple[int, int]


def top_images(model: Classifier, images: np.ndarray, layer: str, count: int = TOP) -> TopImages:
    """Finds the images that excite each unit of a layer most, after Zeiler & Fergus, 2014.

    A unit of a convolution is a kernel. It counts once per image, at its most excited position.
    The values are those before the activation: after it, many values can be equal (relu, sigmoid).

    Args:
        images: uint8 [n, height, width, channels].
        layer: the name of a layer with weights.
        count: the number of images per unit; all if there are fewer.
    """
    highest, places = [], []
    size = images_at_once(images)
    width = 1
    for start in range(0, len(images), size):
        values = model.forward(to_float(images[start : start + size]))[1][layer].numpy()
        if values.ndim == 4:
            width = values.shape[2]
            values = values.reshape(len(values), -1, values.shape[-1])
        else:
            values = values[:, None]
        highest.append(values.max(1))
        places.append(values.argmax(1))
    values, positions = np.concatenate(highest).T, np.concatenate(places).T
    indices = np.argsort(-values, axis=1, kind="stable")[:, :count]
    positions = np.take_along_axis(positions, indices, axis=1)
    start, jump, patch = receptive_field(model, layer, images.shape[1:3])
    corners = start + jump * np.stack([positions // width, positions % width], axis=-1)
    return TopImages(indices, np.take_along_axis(values, indices, axis=1), corners, patch)


def receptive_field(
    model: Classifier, layer: str, image_size: tuple[int, ...]
) -> tuple[int, int, tuple[int, int]]:
    """The patch of the image on which the output of a layer at one position depends.

    Returns:
        The first pixel of the patch of position 0 (negative with padding), the distance of the
        patches of two neighbours, and the patch's height and width, all in pixels. A fully
        connected layer depends on the whole image.
    """
    start, jump, side = 0, 1, 1
    for each in model.stacked:
        if isinstance(each, keras.layers.Dense):
            break
        if isinstance(each, keras.layers.Conv2D):
            side += (each.kernel_size[0] - 1) * jump
            start -= (each.kernel_size[0] - 1) // 2 * jump if each.padding == "same" else 0
        elif isinstance(each, keras.layers.MaxPool2D):
            side, jump = side + jump, 2 * jump
        if each.name == layer:
            return start, jump, (side, side)
    return 0, 0, (image_size[0], image_size[1])


def maximize(
    model: Classifier,
    layer: str,
    units: np.ndarray,
    image_shape: tuple[int, int, int],
    seed: int = 0,
) -> np.ndarray:
    """Computes for each unit an image that excites it, by gradient ascent from noise.

    After D. Erhan et al., Visualizing higher-layer features of a deep network, 2009. As in J.
    Yosinski et al., Understanding neural networks through deep visualization, 2015, each step
    shifts the image by a random pixel and reduces its contrast, so that only what matters stays.
    The value is the one before the activation, because a saturated output has no gradient. In a
    convolution, it is the value at the middle position.

    Args:
        layer: the name of a layer with weights.
        units: int [n], the numbers of the units.
        image_shape: height, width and channels of the images.
        seed: the seed for the noise and the shifts.

    Returns:
        float32 [n, height, width, channels], from 0 to 1.
    """
    random = np.random.default_rng(seed)
    found = []

    @tf.function(autograph=False)
    def gradient(images: tf.Tensor, chosen: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values: Any = model.forward(images)[1][layer]
            if len(values.shape) == 4:
                values = values[:, values.shape[1] // 2, values.shape[2] // 2]
            excitement = tf.reduce_sum(tf.gather(values, chosen[:, None], axis=1, batch_dims=1))
        return tape.gradient(excitement, images)

    for start in range(0, len(units), AT_ONCE):
        chosen = tf.constant(units[start : start + AT_ONCE], tf.int32)
        noise = random.normal(0.5, NOISE, (1, *image_shape)).astype(np.float32)
        images = np.repeat(noise, len(chosen), axis=0)
        for _ in range(STEPS):
            shift = tuple(random.integers(-JITTER, JITTER + 1, 2))
            images = np.roll(images, shift, axis=(1, 2))
            slope = np.asarray(gradient(tf.constant(images), chosen))
            size = np.abs(slope).mean((1, 2, 3), keepdims=True)
            images = images + STEP_SIZE * slope / np.maximum(size, 1e-12)
            images = np.clip(0.5 + (1 - DECAY) * (images - 0.5), 0, 1).astype(np.float32)
            images = np.roll(images, (-shift[0], -shift[1]), axis=(1, 2))
        found.append(images)
    return np.concatenate(found)


@contextlib.contextmanager
def recorded_weights(model: Classifier, arrays: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Gives a network the weights of one inspection, and its own back at the end.

    Args:
        arrays: an inspection's entries, see `lenet.recording.inspections`.

    Raises:
        KeyError: a kernel is not recorded because it is too large.
    """
    layers = model.weight_layers.items()
    new = [(layer, arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for name, layer in layers]
    own = [(layer, layer.kernel.numpy(), layer.bias.numpy()) for _, layer in layers]
    try:
        for layer, kernel, bias in new:
            layer.kernel.assign(kernel)
            layer.bias.assign(bias)
        yield
    finally:
        for layer, kernel, bias in own:
            layer.kernel.assign(kernel)
            layer.bias.assign(bias)
