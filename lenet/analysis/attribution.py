"""Which pixels an answer depends on: five methods, and a check that a map depends on the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from lenet.analysis.insight import occlude
from lenet.analysis.trained import predict, softmax
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import to_float

SAMPLES, NOISE = 50, 0.15  # Of SmoothGrad: images, and the standard deviation of their noise.
PATH_STEPS = 128
PATCHES = 5  # Occlusion hides about this fraction of the shorter side: one fifth.


@dataclass(frozen=True)
class Attribution:
    """The map of one method for one image.

    Attributes:
        method: its name.
        values: float32 [height, width]. Positive values speak for the class, negative ones against
            it. Grad-CAM and occlusion without a sign say only where.
        sanity: the `similarity` of this map and the one of the same network with its weights in
            random order, from -1 to 1. After J. Adebayo et al., Sanity checks for saliency maps,
            2018: near 0, the map depends on what the network has learned.
        completeness: for integrated gradients, how far the sum of the values is from the
            difference of the logits, as a share of that difference; None for other methods.
    """

    method: str
    values: np.ndarray
    sanity: float
    completeness: float | None = None


def attribute(model: Classifier, image: np.ndarray, label: int, seed: int = 0) -> list[Attribution]:
    """Explains the logit of a class by several methods.

    Args:
        image: uint8 [height, width, channels].
        label: the class.
        seed: the seed for SmoothGrad's noise and for the random order of the weights.

    Returns:
        The gradient, SmoothGrad, integrated gradients, Grad-CAM if the network has
        convolutions, and occlusion.
    """
    methods: dict[str, Callable[[], np.ndarray]] = {
        "gradient": lambda: gradient(model, image, label),
        "SmoothGrad": lambda: smooth_gradient(model, image, label, seed),
        "integrated gradients": lambda: integrated_gradients(model, image, label)[0],
        "Grad-CAM": lambda: grad_cam(model, image, label),
        "occlusion": lambda: occlusion(model, image, label),
    }
    if _last_convolution(model) is None:
        del methods["Grad-CAM"]
    maps = {name: method() for name, method in methods.items()}
    with shuffled_weights(model, seed):
        random = {name: method() for name, method in methods.items()}
    error = integrated_gradients(model, image, label)[1]
    return [
        Attribution(
            name,
            values,
            similarity(values, random[name]),
            error if name == "integrated gradients" else None,
        )
        for name, values in maps.items()
    ]


def gradient(model: Classifier, image: np.ndarray, label: int) -> np.ndarray:
    """The gradient of a class's logit with respect to each pixel, summed over the channels.

    After K. Simonyan et al., Deep inside convolutional networks, 2013.

    Returns:
        float32 [height, width].
    """
    return _gradients(model, to_float(image[None]), label)[0].sum(-1)


def smooth_gradient(model: Classifier, image: np.ndarray, label: int, seed: int = 0) -> np.ndarray:
    """The mean gradient of noisy copies of an image, after D. Smilkov et al., SmoothGrad, 2017.

    Returns:
        float32 [height, width].
    """
    random = np.random.default_rng(seed)
    noise = random.normal(0, NOISE, (SAMPLES, *image.shape)).astype(np.float32)
    return _gradients(model, to_float(image[None]) + noise, label).mean(0).sum(-1)


def integrated_gradients(
    model: Classifier, image: np.ndarray, label: int
) -> tuple[np.ndarray, float]:
    """Integrates the gradient along the straight path from a black image to the image.

    After M. Sundararajan et al., Axiomatic attribution for deep networks, 2017.

    Returns:
        The contribution of each pixel to the difference of the logits of the two images,
        float32 [height, width]; and how far their sum is from it, as a share of it.
    """
    pixels = np.asarray(to_float(image[None]))
    shares = (np.arange(PATH_STEPS, dtype=np.float32) + 0.5) / PATH_STEPS
    slopes = _gradients(model, shares[:, None, None, None] * pixels, label).mean(0)
    values = (slopes * pixels[0]).sum(-1)
    ends = np.concatenate([np.zeros_like(image[None]), image[None]])
    before, after = predict(model, ends)[0][:, label]
    difference = float(after - before)
    error = abs(float(values.sum()) - difference) / max(abs(difference), 1e-12)
    return values, error


def grad_cam(model: Classifier, image: np.ndarray, label: int) -> np.ndarray:
    """The feature maps of the last convolution, weighted by their mean gradients, positive part.

    After R. Selvaraju et al., Grad-CAM, 2017.

    Returns:
        float32 [height, width], enlarged to the size of the image.
    """
    layer = _last_convolution(model)
    assert layer is not None
    with tf.GradientTape() as tape:
        outputs = model.activations(to_float(image[None]))
        logit = outputs[model.logits_layer][0, label]
    maps = outputs[layer]
    slopes: Any = tape.gradient(logit, maps)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    found = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
    return tf.image.resize(found, image.shape[:2]).numpy()[0, ..., 0]


def occlusion(model: Classifier, image: np.ndarray, label: int) -> np.ndarray:
    """How much the probability of a class falls while a gray patch hides each place.

    Returns:
        float32 [height, width].
    """
    probability = softmax(predict(model, image[None])[0])[0, label]
    patch = max(2, min(image.shape[:2]) // PATCHES)
    return probability - occlude(model, image, label, patch)


@contextlib.contextmanager
def shuffled_weights(model: Classifier, seed: int = 0) -> Iterator[None]:
    """Gives a network its own kernels in random order, and the right order back at the end."""
    random = np.random.default_rng(seed)
    layers = model.weight_layers.values()
    own = [layer.kernel.numpy() for layer in layers]
    try:
        for layer, kernel in zip(layers, own, strict=True):
            layer.kernel.assign(random.permutation(kernel.ravel()).reshape(kernel.shape))
        yield
    finally:
        for layer, kernel in zip(layers, own, strict=True):
            layer.kernel.assign(kernel)


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The rank correlation of the sizes of two maps, from -1 to 1.

    Pixels at which both maps are 0 are left out. They are black pixels, for example: some methods
    give them 0 with any weights, so they would make all maps of an image look alike.

    Returns:
        Spearman's correlation; 0 if one of the maps has the same size at all these pixels.
    """
    sizes = np.abs(np.stack([first.ravel(), second.ravel()]))
    sizes = sizes[:, sizes.any(axis=0)]
    if sizes.shape[1] == 0 or (np.ptp(sizes, axis=1) == 0).any():
        return 0.0
    from scipy.stats import spearmanr  # Here, because it takes half a second.

    return float(spearmanr(*sizes).statistic)


def _gradients(model: Classifier, images: Any, label: int) -> np.ndarray:
    """The gradient of a class's logit for each image; float32 [n, height, width, channels]."""
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        # Not `model(images)`, which refuses the noise of SmoothGrad outside 0 to 1.
        logits = model.forward(images)[0][model.logits_layer][:, label]
    return np.asarray(tape.gradient(logits, images))


def _last_convolution(model: Classifier) -> str | None:
    """The name of the last convolution, if there is one."""
    kernels = {name: layer.kernel for name, layer in model.weight_layers.items()}
    return next((name for name, kernel in reversed(kernels.items()) if kernel.ndim == 4), None)
