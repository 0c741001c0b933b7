"""The optimizers as Keras objects."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from lenet.registry import OPTIMIZERS


class Adam(keras.optimizers.Adam):
    """Keras's Adam (D. P. Kingma and J. Ba, ICLR 2015) with one operation per weight tensor.

    Keras uses about thirty small operations. In a network of this size, starting them takes
    longer than their arithmetic.
    """

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        steps = tf.cast(tf.convert_to_tensor(self.iterations) + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, steps),
            beta2_power=tf.pow(self.beta_2, steps),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class AdamW(Adam, keras.optimizers.AdamW):
    """Adam with decoupled weight decay, after I. Loshchilov and F. Hutter, ICLR 2019."""


def build_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """A Keras optimizer by its name in `registry.OPTIMIZERS`."""
    spec = OPTIMIZERS[name]
    own = {"Adam": Adam, "AdamW": AdamW}
    optimizer_class = own.get(spec["keras_class"]) or getattr(keras.optimizers, spec["keras_class"])
    return optimizer_class(learning_rate=learning_rate, **spec["arguments"])
