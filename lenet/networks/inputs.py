"""How uint8 images enter a network, and how many at a time."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

EVALUATION_BATCH = 500
EVALUATION_PIXELS = 2**21  # The maximum in one batch, so large images are in smaller batches.


def to_float(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Converts uint8 images to the input of a network, float32 from 0 to 1."""
    return tf.cast(images, tf.float32) / 255.0


def images_at_once(images: np.ndarray) -> int:
    """The number of images [n, height, width, channels] to evaluate at a time.

    500, or fewer if they are large, because the outputs of all layers have to fit into memory.
    """
    height, width = images.shape[1:3]
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // (height * width)))
