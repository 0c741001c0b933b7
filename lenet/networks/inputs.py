"""What a network sees of uint8 images, and how many of them at a time."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

EVALUATION_BATCH = 500
EVALUATION_PIXELS = 2**21  # In one batch at most: large images come in smaller batches.


def to_float(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Images as a network takes them: float32 from 0 to 1, from uint8."""
    return tf.cast(images, tf.float32) / 255.0


def images_at_once(images: np.ndarray) -> int:
    """How many images [n, height, width, channels] are evaluated at a time.

    500, or fewer if they are large: the outputs of all layers have to fit into memory.
    """
    height, width = images.shape[1:3]
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // (height * width)))
