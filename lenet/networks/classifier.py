"""The base class of all networks: layers in a stack, one forward pass, every output by name."""

from __future__ import annotations

import itertools
import math
import random
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from lenet.networks.inputs import checked_input
from lenet.networks.slopes import greatest_slope
from lenet.networks.stack_checks import WITH_WEIGHTS, check_size, check_stack
from lenet.registry import MONOTONE_ACTIVATIONS

# The names in `Classifier.description` for layers that are not convolutions.
KINDS = {
    keras.layers.Dense: "fully connected",
    keras.layers.MaxPool2D: "max pooling 2×2",
    keras.layers.Dropout: "dropout",
    keras.layers.Flatten: "flatten",
}


class Classifier(keras.Model):
    """A network that returns both its logits and the features of the layer before them.

    A subclass lists its layers in `stack`; `forward` defines the forward pass for all of them. The
    names of the last two Dense layers are its `feature_layer` and its `logits_layer`.

    Args:
        image_shape: height, width and channels of the images.
        num_classes: the number of classes, and of logits.
        activation: the function after every layer except the last.
        fc2_activation: a different function after fc2, in networks whose last layer is not fc2.
        init: how kernels are initialized: "glorot_uniform", "he_normal", "truncated_normal", or
            "source" (as in the network's original implementation).
        init_stddev: the standard deviation of truncated_normal.
        init_bias: the initial value of every bias; default: 0, or the original value for "source".
        conv_dropout: the dropout rate after each pooling layer.
        fc_dropout: the dropout rate after each fully connected layer except the last.
        seed: determines the random values of every kernel, together with its layer's name.
        mean: the mean of each channel, from 0 to 1, which the network subtracts from the images;
            it is saved with the weights.

    Raises:
        ValueError: the images are too small for a kernel or a pooling layer, the stack cannot be
            trained (see `stack_checks`), or `fc2_activation` is given and fc2 is the last layer.
    """

    feature_layer: str
    logits_layer: str
    # The original initialization: standard deviation of the kernels, biases of convolutions, and
    # biases of fully connected layers.
    source_init = (0.1, 0.1, 0.1)

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        num_classes: int = 10,
        activation: str = "relu",
        fc2_activation: str | None = None,
        init: str = "glorot_uniform",
        init_stddev: float = 0.1,
        init_bias: float | None = None,
        conv_dropout: float = 0.0,
        fc_dropout: float = 0.0,
        seed: int = 0,
        mean: Sequence[float] | None = None,
    ) -> None:
        super().__init__(name=type(self).__name__.lower())
        self._arguments = {
            "image_shape": tuple(image_shape),
            "num_classes": num_classes,
            "activation": activation,
            "fc2_activation": fc2_activation,
            "init": init,
            "init_stddev": init_stddev,
            "init_bias": init_bias,
            "conv_dropout": conv_dropout,
            "fc_dropout": fc_dropout,
            "seed": seed,
            "mean": None if mean is None else [float(value) for value in mean],
        }
        if fc2_activation not in (None, activation) and self.logits_layer == "fc2":
            raise ValueError(
                f"Expected no fc2_activation with model {self.name!r}, whose fc2 outputs the logits. "
                f"Received: fc2_activation={fc2_activation!r}"
            )
        self._init, self._init_stddev, self._init_bias = init, init_stddev, init_bias
        self._seed, self.num_classes = seed, num_classes
        self._rates = {"conv": conv_dropout, "fc": fc_dropout}
        stack = self._seeded_stack(seed)
        check_stack(self.name, stack, num_classes, self.feature_layer, self.logits_layer)
        check_size(self.name, stack, image_shape)
        # Activations are layers of their own, so that diagrams and graphs name them.
        kinds = {layer.name: activation for layer in stack if isinstance(layer, WITH_WEIGHTS)}
        kinds |= {"fc2": fc2_activation} if fc2_activation and "fc2" in kinds else {}
        del kinds[self.logits_layer]
        self.act = {
            name: keras.layers.Activation(kind, name=f"{name}_{kind}")
            for name, kind in kinds.items()
        }
        self.stacked = stack
        self._monotone = activation in MONOTONE_ACTIVATIONS
        flattened = [isinstance(layer, keras.layers.Flatten) for layer in stack]
        self._first_dense = flattened.index(True) + 1
        for layer in stack:
            setattr(self, layer.name, layer)  # So that `model.conv1` works.
        self.mean = None
        if mean is not None:
            self.mean = self.add_weight(
                name="mean", shape=(len(mean),), initializer="zeros", trainable=False
            )
            self.mean.assign(list(mean))
        self(tf.zeros((1, *image_shape)))

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """See `call`. Takes uint8 images too.

        Raises:
            ValueError: the images have a different shape, or values outside 0 to 1.
        """
        images = checked_input(images, self._arguments["image_shape"])
        return super().__call__(images, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that build this network, so that `model.save` works."""
        return dict(self._arguments)

    def stack(self) -> list[keras.layers.Layer]:
        """The layers, in the order of the forward pass."""
        raise NotImplementedError

    def forward(
        self,
        images: tf.Tensor,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Runs the network and keeps the output of every layer.

        Args:
            images: float32 [n, height, width, channels], from 0 to 1.
            training: whether dropout is active.
            dropout_seed: int32 [2], determines which values are dropped; required with dropout.

        Returns:
            The outputs of all layers, in order, after their activations; and the outputs of the
            layers with weights before their activations.
        """
        out: dict[str, Any] = {}
        before: dict[str, Any] = {}
        x: Any = self._centred(images)
        for layer in self.stacked:
            x = self._apply(layer, x, training, dropout_seed)
            if isinstance(layer, WITH_WEIGHTS):
                before[layer.name] = x
                x = self._activate(layer, x)
            if not isinstance(layer, keras.layers.Flatten):
                out[layer.name] = x
        return out, before

    def activations(self, images: Any, training: bool = False) -> dict[str, tf.Tensor]:
        """The output of every layer by the layer's name, in order. The last are the logits.

        Args:
            images: uint8, or float from 0 to 1, [n, height, width, channels].

        Raises:
            ValueError: the images have a different shape, or values outside 0 to 1.
        """
        return self.forward(checked_input(images, self._arguments["image_shape"]), training)[0]

    def call(
        self,
        images: tf.Tensor,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns logits [n, classes] and features [n, d] of images [n, height, width, channels]."""
        maps = self.convolutional_part(images, training, dropout_seed)
        return self.dense_part(maps, training, dropout_seed)

    def convolutional_part(
        self,
        images: tf.Tensor,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The first half of `call`: everything up to and including `flatten`; float32 [n, d].

        If pooling follows a convolution, the bias and a monotone activation are applied after the
        pooling. The result is the same, and they process a quarter of the values. A step of LeNet
        is 6 % (relu) to 9 % (sigmoid) faster.
        """
        x: Any = self._centred(images)
        waiting: Any = None  # The convolution whose bias and activation come after the pooling.
        for layer, following in itertools.pairwise(self.stacked[: self._first_dense + 1]):
            if self._pools_first(layer, following):
                if not layer.built:
                    layer.build(x.shape)
                with tf.name_scope(layer.name):  # The layer's box in TensorBoard's graph.
                    x = tf.nn.conv2d(x, layer.kernel, 1, layer.padding.upper())
                waiting = layer
                continue
            x = self._apply(layer, x, training, dropout_seed)
            if waiting is not None:
                with tf.name_scope(waiting.name):
                    x = tf.nn.bias_add(x, waiting.bias)
                x = self._activate(waiting, x)
                waiting = None
            elif isinstance(layer, keras.layers.Conv2D):
                x = self._activate(layer, x)
        return x

    def dense_part(
        self,
        flat: tf.Tensor,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The second half of `call`: logits and features from the output of the first half."""
        x, features = flat, flat
        for layer in self.stacked[self._first_dense :]:
            x = self._apply(layer, x, training, dropout_seed)
            if isinstance(layer, WITH_WEIGHTS):
                x = self._activate(layer, x)
            if layer.name == self.feature_layer:
                features = x
        return x, features

    def _pools_first(self, layer: Any, following: Any) -> bool:
        """Whether the bias and the activation of a layer can wait until after the next layer."""
        pools = isinstance(following, keras.layers.MaxPool2D)
        if not (self._monotone and pools and isinstance(layer, keras.layers.Conv2D)):
            return False
        return (*layer.strides, *layer.dilation_rate, layer.groups) == (1, 1, 1, 1, 1)

    def _centred(self, images: tf.Tensor) -> Any:
        return images if self.mean is None else images - self.mean

    def _apply(
        self, layer: Any, x: tf.Tensor, training: bool, dropout_seed: tf.Tensor | None
    ) -> Any:
        """One layer, without its activation."""
        if not isinstance(layer, keras.layers.Dropout):
            return layer(x)
        if not training:
            return x
        # The seed depends on step and tower, so a resumed run drops exactly the same values.
        layer_seed = tf.random.experimental.stateless_fold_in(
            dropout_seed, seed_from_name(layer.name)
        )
        return tf.nn.experimental.stateless_dropout(x, layer.rate, layer_seed)

    def _activate(self, layer: Any, x: tf.Tensor) -> Any:
        return self.act[layer.name](x) if layer.name in self.act else x

    def shown_layers(self) -> dict[str, str]:
        """For each layer with weights, the layer in `activations` whose output is shown.

        For a convolution followed by pooling, this is the pooling layer.
        """
        passed_on: dict[str, str] = {}
        for layer in self.stacked:
            if isinstance(layer, WITH_WEIGHTS):
                passed_on[layer.name] = layer.name
            elif isinstance(layer, keras.layers.MaxPool2D):
                passed_on[next(reversed(passed_on))] = layer.name
        return passed_on

    def description(self, image_shape: tuple[int, int, int]) -> list[dict[str, Any]]:
        """The layers in order, as JSON values: name, kind, output shape, units and parameters.

        The units of a convolution are its kernels. Layers without weights have no units. `flatten`
        is left out. A layer with an activation also has the greatest slope of this function.
        """
        layers, shape = [], (None, *image_shape)
        for layer in self.stacked:
            shape = layer.compute_output_shape(shape)
            if isinstance(layer, keras.layers.Conv2D):
                kind = f"convolution {'×'.join(map(str, layer.kernel_size))}, {layer.padding}"
            else:
                kind = KINDS.get(type(layer), type(layer).__name__)
            if not isinstance(layer, keras.layers.Flatten):
                layers.append(
                    {
                        "name": layer.name,
                        "kind": kind,
                        "output": list(shape[1:]),
                        "units": shape[-1] if isinstance(layer, WITH_WEIGHTS) else 0,
                        "parameters": layer.count_params(),
                    }
                )
                if layer.name in self.act:
                    slope = greatest_slope(self.act[layer.name].activation)
                    layers[-1]["greatest_slope"] = round(slope, 4)
        return layers

    @property
    def num_parameters(self) -> int:
        """The number of trainable weights; the mean of the training images is not one of them."""
        return sum(math.prod(weight.shape) for weight in self.trainable_weights)

    @property
    def weight_layers(self) -> dict[str, keras.layers.Layer]:
        """The layers that have a kernel and a bias, by name, in order."""
        return {layer.name: layer for layer in self.stacked if isinstance(layer, WITH_WEIGHTS)}

    def conv_layer(self, name: str, kernels: int, size: int, padding: str = "same") -> Any:
        """A convolution for `stack`, with kernels of size x size and the chosen initializer."""
        return keras.layers.Conv2D(
            kernels, size, padding=padding, name=name, **self._initializers(name, "conv")
        )

    def dense_layer(self, name: str, units: int) -> Any:
        """A fully connected layer for `stack`, with the chosen initializer."""
        return keras.layers.Dense(units, name=name, **self._initializers(name, "fc"))

    def pool_layer(self, name: str) -> Any:
        """A max pooling layer for `stack`, which keeps every second row and column."""
        return keras.layers.MaxPool2D(2, name=name)

    def dropout_layers(self, name: str, kind: Literal["conv", "fc"]) -> list[Any]:
        """A dropout layer for `stack`, after layers of a kind; none if the rate is 0."""
        rate = self._rates[kind]
        return [keras.layers.Dropout(rate, name=name)] if rate else []

    def _seeded_stack(self, seed: int) -> list[Any]:
        """The layers. Keras draws a seed for each initializer without one: the same ones each time."""
        state = random.getstate()
        random.seed(seed)
        try:
            return self.stack()
        finally:
            random.setstate(state)

    def _initializers(self, name: str, kind: str) -> dict[str, Any]:
        """The initializers of one layer. Their values do not depend on any other layer."""
        layer_seed = seed_from_name(name, self._seed)
        stddev, bias = self._init_stddev, 0.0
        if self._init == "source":
            stddev, conv_bias, fc_bias = self.source_init
            bias = conv_bias if kind == "conv" else fc_bias
        if self._init in ("source", "truncated_normal"):
            kernel: Any = keras.initializers.TruncatedNormal(stddev=stddev, seed=layer_seed)
        else:
            kernel = keras.initializers.get(
                {"class_name": self._init, "config": {"seed": layer_seed}}
            )
        bias = bias if self._init_bias is None else self._init_bias
        return {
            "kernel_initializer": kernel,
            "bias_initializer": keras.initializers.Constant(bias),
        }


def seed_from_name(name: str, seed: int = 0) -> int:
    """A separate seed for each layer, which does not change if a layer is added before it.

    Returns:
        From 0 to 2**31 - 1.
    """
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
