"""How uint8 images enter a network, and how many at a time."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

ROUNDING = 1e-3  # Resized images may go a little beyond 0 and 1.
EVALUATION_BATCH = 500
EVALUATION_PIXELS = 2**21  # The maximum in one batch, so large images are in smaller batches.


def to_float(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Converts uint8 images to the input of a network, float32 from 0 to 1."""
    return tf.cast(images, tf.float32) / 255.0


def checked_input(images: Any, image_shape: tuple[int, int, int]) -> Any:
    """The input of a network from images as users have them.

    In a compiled function only the type is known, so only uint8 is converted there.

    Args:
        images: uint8, or float from 0 to 1, [n, height, width, channels].
        image_shape: height, width and channels that the network expects.

    Returns:
        float from 0 to 1, of the same shape.

    Raises:
        ValueError: the images have a different shape, another type, or values outside 0 to 1.
    """
    if isinstance(images, keras.KerasTensor):
        return images
    if not isinstance(images, tf.Tensor | tf.Variable):
        images = np.asarray(images)
    if tuple(images.shape[1:]) != tuple(image_shape) and None not in images.shape[1:]:
        expected = ", ".join(map(str, image_shape))
        raise ValueError(f"Expected images of shape [n, {expected}]. Received: {images.shape}")
    if images.dtype in (np.uint8, tf.uint8):
        return to_float(images)
    if tf.is_symbolic_tensor(images):
        return images
    values = np.asarray(images)
    if values.dtype.kind != "f" or not (
        values.size == 0 or (values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING)
    ):
        found = f"{values.min():g} to {values.max():g}" if values.size else "none"
        raise ValueError(
            "Expected images as uint8, or as floats from 0 to 1 (divide by 255). Received: "
            f"{values.dtype} values from {found}"
        )
    return images


def images_at_once(images: np.ndarray) -> int:
    """The number of images [n, height, width, channels] to evaluate at a time.

    500, or fewer if they are large, because the outputs of all layers have to fit into memory.
    """
    height, width = images.shape[1:3]
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // (height * width)))
