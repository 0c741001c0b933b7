"""Changes training images a little, differently at every step, inside the compiled call.

The change depends only on the seed, the step and the index of the image in the batch. A resumed
run therefore sees exactly the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

SHIFT = 0.1  # Up to this fraction of the width and the height, in each direction.
ROTATION = 0.26  # Up to this angle in radians (15 degrees), in each direction.
ZOOM = 0.15  # The scale is from 0.85 to 1.15.


def augment(images: tf.Tensor, kinds: Sequence[str], seed: tf.Tensor) -> tf.Tensor:
    """Shifts, rotates, zooms and mirrors images around their centre, with a single resampling.

    Args:
        images: float32 [n, height, width, channels].
        kinds: some of "shift", "rotate", "zoom", "flip"; if empty, the images do not change.
        seed: int32 [2].

    Returns:
        Images of the same shape and type. Pixels from outside an image repeat its nearest edge.
    """
    if not kinds:
        return images
    count: Any = tf.shape(images)[0]
    height, width = images.shape[1] or 0, images.shape[2] or 0
    drawn = tf.random.stateless_uniform([5, count], seed, -1.0, 1.0)
    angle = drawn[0] * (ROTATION if "rotate" in kinds else 0.0)
    scale = 1.0 + drawn[1] * (ZOOM if "zoom" in kinds else 0.0)
    down = drawn[2] * (SHIFT * height if "shift" in kinds else 0.0)
    right = drawn[3] * (SHIFT * width if "shift" in kinds else 0.0)
    mirror = tf.where(drawn[4] < 0, -1.0, 1.0) if "flip" in kinds else tf.ones([count])
    # Where each pixel of the result comes from: (x, y) -> (a x + b y + c, d x + e y + f), around
    # the centre of the image.
    a, b = mirror * tf.cos(angle) / scale, -tf.sin(angle) / scale
    d, e = mirror * tf.sin(angle) / scale, tf.cos(angle) / scale
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    c = middle_x + right - a * middle_x - b * middle_y
    f = middle_y + down - d * middle_x - e * middle_y
    zero = tf.zeros([count])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
