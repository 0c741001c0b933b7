"""The networks, and the optimizers that train them, as Keras objects."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from lenet.config import TrainConfig
from lenet.registry import OPTIMIZERS


class Classifier(keras.Model):
    """A network that gives both its answer and the layer before it.

    A subclass makes its layers in `__init__`, names `feature_layer` and `logits_layer`,
    and writes its one definition of the forward pass in `forward`.
    """

    feature_layer: str
    logits_layer: str

    def forward(
        self, images: tf.Tensor, training: bool = False
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Runs the network and keeps everything.

        Args:
            images: float32 [n, height, width, channels], from 0 to 1.
            training: whether layers that act in training alone do so.

        Returns:
            The output of every layer, in order, after its activation; and of each layer with
            weights before its activation.
        """
        raise NotImplementedError

    def activations(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Every layer's output by the layer's name, in order; the last is the logits."""
        return self.forward(images, training)[0]

    def call(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (logits [n, classes], features [n, d]) for images [n, height, width, channels]."""
        outputs = self.activations(images, training)
        return outputs[self.logits_layer], outputs[self.feature_layer]

    def shown_layers(self) -> dict[str, str]:
        """Each layer with weights, and the name under which `activations` has what it passes on.

        Of a convolution with a pooling behind it, that is the pooling's output.
        """
        passed_on: dict[str, str] = {}
        for layer in self.layers:
            if layer.weights:
                passed_on[layer.name] = layer.name
            elif isinstance(layer, keras.layers.MaxPool2D):
                passed_on[next(reversed(passed_on))] = layer.name
        return passed_on

    @property
    def weight_layers(self) -> dict[str, keras.Layer]:
        """The layers that have a kernel and a bias, by name, in order."""
        return {layer.name: layer for layer in self.layers if layer.weights}


class LeNet(Classifier):
    """LeNet-5 as it is taught today: two convolutions, three fully connected layers.

    After Y. LeCun et al., Gradient-based learning applied to document recognition,
    Proc. IEEE 86(11), 1998, with max pooling, a softmax output and a choice of activations:
    conv1 6@5x5 same, pool 2, conv2 16@5x5 valid, pool 2, fc1 120, fc2 84, fc3. On 28x28x1
    images with ten classes it has 61,706 parameters.

    Args:
        image_shape: height, width and channels of the images.
        num_classes: how many logits.
        activation: the non-linearity after every layer but fc3.
        fc2_activation: the one after fc2; default `activation`.
        init: how kernels are drawn, a Keras initializer's name.
        init_stddev: the standard deviation, for truncated_normal.
        init_bias: every bias at the start.
        seed: decides the draw of every kernel, each by its place in the network.

    Raises:
        ValueError: the images are too small for the second convolution and its pooling.
    """

    feature_layer = "fc2"
    logits_layer = "fc3"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        num_classes: int = 10,
        activation: str = "relu",
        fc2_activation: str | None = None,
        init: str = "glorot_uniform",
        init_stddev: float = 0.1,
        init_bias: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(name="lenet")
        height, width, _ = image_shape
        if min(height, width) < 12:
            raise ValueError(
                "Expected images of at least 12x12 pixels for model 'lenet': what its first "
                f"pooling leaves must hold a 5x5 kernel and a pooling. Received: {height}x{width}"
            )
        options = [
            {
                "kernel_initializer": _initializer(init, init_stddev, seed, place),
                "bias_initializer": keras.initializers.Constant(init_bias),
            }
            for place in range(5)
        ]
        layers = keras.layers
        kinds: dict[str, str] = dict.fromkeys(("conv1", "conv2", "fc1"), activation)
        kinds["fc2"] = fc2_activation or activation
        # Layers of their own, so that diagrams and graphs name them.
        self.act = {
            name: layers.Activation(kind, name=f"{name}_{kind}") for name, kind in kinds.items()
        }
        self.conv1 = layers.Conv2D(6, 5, padding="same", name="conv1", **options[0])
        self.pool1 = layers.MaxPool2D(2, name="pool1")
        self.conv2 = layers.Conv2D(16, 5, padding="valid", name="conv2", **options[1])
        self.pool2 = layers.MaxPool2D(2, name="pool2")
        self.flatten = layers.Flatten(name="flatten")
        self.fc1 = layers.Dense(120, name="fc1", **options[2])
        self.fc2 = layers.Dense(84, name="fc2", **options[3])
        self.fc3 = layers.Dense(num_classes, name="fc3", **options[4])
        self(tf.zeros((1, *image_shape)))

    def forward(
        self, images: tf.Tensor, training: bool = False
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        out: dict[str, Any] = {}
        before: dict[str, Any] = {}
        before["conv1"] = self.conv1(images)
        out["conv1"] = self.act["conv1"](before["conv1"])
        out["pool1"] = self.pool1(out["conv1"])
        before["conv2"] = self.conv2(out["pool1"])
        out["conv2"] = self.act["conv2"](before["conv2"])
        out["pool2"] = self.pool2(out["conv2"])
        before["fc1"] = self.fc1(self.flatten(out["pool2"]))
        out["fc1"] = self.act["fc1"](before["fc1"])
        before["fc2"] = self.fc2(out["fc1"])
        out["fc2"] = self.act["fc2"](before["fc2"])
        before["fc3"] = out["fc3"] = self.fc3(out["fc2"])
        return out, before


MODELS: dict[str, type[LeNet]] = {"lenet": LeNet}


def build_model(
    config: TrainConfig, image_shape: tuple[int, int, int], num_classes: int
) -> Classifier:
    """The network a resolved config asks for, with its weights drawn.

    Raises:
        ValueError: the images are too small for it.
    """
    return MODELS[config.model](
        image_shape=image_shape,
        num_classes=num_classes,
        activation=config.activation,
        fc2_activation=config.fc2_activation,
        init=config.init,
        init_stddev=config.init_stddev,
        init_bias=config.init_bias or 0.0,
        seed=config.seed,
    )


def build_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """A Keras optimizer by its name in `registry.OPTIMIZERS`."""
    spec = OPTIMIZERS[name]
    optimizer_class = getattr(keras.optimizers, spec["keras_class"])
    return optimizer_class(learning_rate=learning_rate, **spec["arguments"])


def _initializer(name: str, stddev: float, seed: int, place: int) -> Any:
    """An initializer with a seed of its own, so that no other draw can change this one."""
    own_seed = seed * 1000 + place
    if name == "truncated_normal":
        return keras.initializers.TruncatedNormal(stddev=stddev, seed=own_seed)
    return keras.initializers.get({"class_name": name, "config": {"seed": own_seed}})
