"""The networks themselves, each a class that lists its layers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from lenet.config import TrainConfig
from lenet.networks.classifier import Classifier
from lenet.registry import FEATURE_LAYERS


@keras.saving.register_keras_serializable("lenet")
class LeNet(Classifier):
    """LeNet-5 as it is taught today: two convolutions, three fully connected layers.

    After Y. LeCun et al., Gradient-based learning applied to document recognition,
    Proc. IEEE 86(11), 1998, with max pooling, a softmax output and a choice of activations:
    conv1 6@5x5 same, pool 2, conv2 16@5x5 valid, pool 2, fc1 120, fc2 84, fc3. On 28x28x1
    images with ten classes it has 61,706 parameters. For the arguments see `Classifier`.
    """

    feature_layer = FEATURE_LAYERS["lenet"]
    logits_layer = "fc3"

    def stack(self) -> list[keras.layers.Layer]:
        return [
            self.conv_layer("conv1", 6, 5),
            self.pool_layer("pool1"),
            *self.dropout_layers("dropout1", "conv"),
            self.conv_layer("conv2", 16, 5, "valid"),
            self.pool_layer("pool2"),
            *self.dropout_layers("dropout2", "conv"),
            keras.layers.Flatten(name="flatten"),
            self.dense_layer("fc1", 120),
            *self.dropout_layers("dropout3", "fc"),
            self.dense_layer("fc2", 84),
            *self.dropout_layers("dropout4", "fc"),
            self.dense_layer("fc3", self.num_classes),
        ]


@keras.saving.register_keras_serializable("lenet")
class Conv3(Classifier):
    """Three convolutions and a wide layer; PCA and t-SNE show its outputs layer by layer.

    conv1 32@5x5, pool 2, conv2 48@5x5, conv3 64@5x5, pool 2, fc1 1024, dropout, fc2. The
    original implementation draws kernels from a normal distribution of standard deviation 0.1,
    truncated at 0.2, and starts biases at 0.1. For the arguments see `Classifier`.
    """

    feature_layer = FEATURE_LAYERS["conv3"]
    logits_layer = "fc2"

    def stack(self) -> list[keras.layers.Layer]:
        return [
            self.conv_layer("conv1", 32, 5),
            self.pool_layer("pool1"),
            *self.dropout_layers("dropout1", "conv"),
            self.conv_layer("conv2", 48, 5),
            self.conv_layer("conv3", 64, 5),
            self.pool_layer("pool2"),
            *self.dropout_layers("dropout2", "conv"),
            keras.layers.Flatten(name="flatten"),
            self.dense_layer("fc1", 1024),
            *self.dropout_layers("dropout3", "fc"),
            self.dense_layer("fc2", self.num_classes),
        ]


@keras.saving.register_keras_serializable("lenet")
class Conv4(Classifier):
    """Four convolutions for colour photographs; it overfits small data sets, and can be cured.

    conv1_1 and conv1_2 32@3x3, pool 2, dropout, conv2_1 and conv2_2 64@3x3, pool 2, dropout,
    fc1 512, dropout, fc2. On 224x224x3 images fc1 alone has 102.8 million weights. The original
    implementation draws kernels as conv3's does; biases start at 0 in convolutions and at 1 in
    fully connected layers. For the arguments see `Classifier`.
    """

    feature_layer = FEATURE_LAYERS["conv4"]
    logits_layer = "fc2"
    source_init = (0.1, 0.0, 1.0)

    def stack(self) -> list[keras.layers.Layer]:
        return [
            self.conv_layer("conv1_1", 32, 3),
            self.conv_layer("conv1_2", 32, 3),
            self.pool_layer("pool1"),
            *self.dropout_layers("dropout1", "conv"),
            self.conv_layer("conv2_1", 64, 3),
            self.conv_layer("conv2_2", 64, 3),
            self.pool_layer("pool2"),
            *self.dropout_layers("dropout2", "conv"),
            keras.layers.Flatten(name="flatten"),
            self.dense_layer("fc1", 512),
            *self.dropout_layers("dropout3", "fc"),
            self.dense_layer("fc2", self.num_classes),
        ]


@keras.saving.register_keras_serializable("lenet")
class MLP(Classifier):
    """Three fully connected layers and no convolution, for a comparison with LeNet's convolutions.

    The 784-300-100-10 network of Y. LeCun et al., Proc. IEEE 86(11), 1998, table I, with a
    softmax output. On 28x28x1 images with ten classes it has 266,610 parameters. For the
    arguments see `Classifier`.
    """

    feature_layer = FEATURE_LAYERS["mlp"]
    logits_layer = "fc3"

    def stack(self) -> list[keras.layers.Layer]:
        return [
            keras.layers.Flatten(name="flatten"),
            self.dense_layer("fc1", 300),
            *self.dropout_layers("dropout1", "fc"),
            self.dense_layer("fc2", 100),
            *self.dropout_layers("dropout2", "fc"),
            self.dense_layer("fc3", self.num_classes),
        ]


MODELS: dict[str, type[Classifier]] = {"lenet": LeNet, "conv3": Conv3, "conv4": Conv4, "mlp": MLP}


def network_class(name: str) -> type[Classifier]:
    """The class of a network.

    Args:
        name: a key of MODELS, or MODULE:CLASS, which is imported from the current folder or from
            wherever Python finds it.

    Raises:
        ValueError: the module cannot be imported, has no such class, or the class is no network.
    """
    if name in MODELS:
        return MODELS[name]
    module_name, _, class_name = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # Any error that the user's own file causes.
        raise ValueError(
            f"Cannot import the network {name} ({type(error).__name__}: {error}). Run the command "
            f"in the folder that contains {module_name.partition('.')[0]}.py."
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Classifier)):
        raise ValueError(
            f"Expected {class_name} in {module.__file__} to be a subclass of lenet.Classifier. "
            f"Received: {found!r}. To look into any other Keras model, use lenet.Inspector."
        )
    if missing := [a for a in ("feature_layer", "logits_layer") if not hasattr(found, a)]:
        raise ValueError(
            f"Expected {class_name} to have the attribute {' and '.join(missing)}: the name of one "
            'of its layers, e.g. feature_layer = "fc2".'
        )
    return found


def build_model(
    config: TrainConfig,
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float] | None = None,
) -> Classifier:
    """Builds and initializes the network of a resolved config.

    Args:
        mean: the mean of each channel of the training images, which the network subtracts; None
            if it subtracts nothing.

    Raises:
        ValueError: the images are too small for the network, or it is a class of the user that
            cannot be used; see `network_class`.
    """
    return network_class(config.model)(
        image_shape=image_shape,
        num_classes=num_classes,
        activation=config.activation,
        fc2_activation=config.fc2_activation,
        init=config.init or "glorot_uniform",
        init_stddev=config.init_stddev,
        init_bias=config.init_bias,
        conv_dropout=config.conv_dropout or 0.0,
        fc_dropout=config.fc_dropout or 0.0,
        seed=config.seed,
        mean=mean,
    )
