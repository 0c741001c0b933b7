"""The optimizers as Keras objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from lenet.registry import OPTIMIZERS


class OnOneDevice:
    """Updates the weights without TensorFlow's strategies for several devices.

    Keras sums the gradients of all devices, even if there is only one. TensorFlow registers the
    gradient of this sum for ever, and with it the graph of the training step: 8 MB per run.
    """

    def _backend_update_step(
        self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        optimizer: Any = self
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            optimizer.update_step(gradient, variable.value, learning_rate)


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


def build_optimizer(
    name: str, learning_rate: float, weight_decay: float | None = None, clip_norm: float = 0.0
) -> keras.optimizers.Optimizer:
    """A Keras optimizer by its name in `registry.OPTIMIZERS`.

    Args:
        weight_decay: each update also subtracts learning_rate * weight_decay * w from each weight
            w (Loshchilov and Hutter, ICLR 2019); None: the optimizer's own default.
        clip_norm: the maximum L2 norm of all gradients together; 0: no maximum.
    """
    spec = OPTIMIZERS[name]
    decay = spec.get("weight_decay", 0.0) if weight_decay is None else weight_decay
    more: dict[str, Any] = {"weight_decay": decay} if decay or "weight_decay" in spec else {}
    more |= {"global_clipnorm": clip_norm} if clip_norm else {}
    own = {"Adam": Adam, "AdamW": AdamW}
    name = spec["keras_class"]
    optimizer_class = own.get(name) or getattr(keras.optimizers, name)
    # Its variables are named after the class.
    on_one_device: Any = type(name, (OnOneDevice, optimizer_class), {})
    return on_one_device(learning_rate=learning_rate, **spec["arguments"], **more)
