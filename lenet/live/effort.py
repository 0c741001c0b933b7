"""How much work the page does to explain a network: as much as `lenet.visualize`, or less.

The page computes in the browser, on one processor. For a small network, this is fast enough for the
numbers of `lenet.visualize`. For a large network, the page takes fewer, so that the user waits
seconds, not minutes, and says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from lenet.analysis import attribution, insight, units
from lenet.networks.classifier import Classifier

FULL = {
    "SAMPLES": attribution.SAMPLES,
    "PATH_STEPS": attribution.PATH_STEPS,
    "FINEST": insight.FINEST,
    "STEPS": units.STEPS,
}
"""What `lenet.visualize` takes. The names are explained where the values are."""

REDUCED = {"SAMPLES": 10, "PATH_STEPS": 32, "FINEST": 14, "STEPS": 32}
"""What the page takes for a large network."""

LEAST = {"SAMPLES": 5, "PATH_STEPS": 32, "FINEST": 8, "STEPS": 16}
"""What the page takes for a very large network."""

# Multiplications for one image. LeNet needs 0.4 million for MNIST's images, conv3 26 million, and conv4
# 106 million for images of 64x64 pixels.
LARGE, VERY_LARGE = 3_000_000, 50_000_000


def effort_of(model: Classifier, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """The numbers that the page takes for a network: `FULL`, `REDUCED` or `LEAST`."""
    needed = multiplications(model, image_shape)
    return FULL if needed <= LARGE else REDUCED if needed <= VERY_LARGE else LEAST


def multiplications(model: Classifier, image_shape: tuple[int, int, int]) -> int:
    """How many times the network multiplies a value by a weight for one image."""
    outputs: Any = model.forward(tf.zeros((1, *image_shape)))[1]
    return sum(
        int(np.prod(outputs[name].shape[1:-1])) * int(np.prod(layer.kernel.shape))
        for name, layer in model.weight_layers.items()
    )
