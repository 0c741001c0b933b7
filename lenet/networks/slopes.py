"""The greatest slope of an activation function, measured at many inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

REACH, POINTS = 10.0, 20_001  # The inputs: this many, from -10 to 10.


def greatest_slope(activation: Callable[[Any], Any]) -> float:
    """The greatest slope of a function of single numbers, e.g. 0.25 for sigmoid.

    Args:
        activation: takes and returns float32 [n].
    """
    inputs = tf.linspace(-REACH, REACH, POINTS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = activation(inputs)
    return float(tf.reduce_max(tf.abs(tape.gradient(outputs, inputs))))
