"""The names a user can choose from, and their defaults: plain data, no TensorFlow.

The networks and optimizers themselves are in the package `networks`. This module imports
nothing heavy, so that `python -m lenet.train --help` appears quickly.
"""

from __future__ import annotations

import re
from typing import Literal, NotRequired, TypedDict, get_args

Activation = Literal[
    "relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "leaky_relu"
]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"]
LearningRateSchedule = Literal["constant", "cosine", "one_cycle"]
Initializer = Literal["glorot_uniform", "he_normal", "truncated_normal", "source"]
Augmentation = Literal["shift", "rotate", "zoom", "flip"]
ModelName = Literal["lenet", "conv3", "conv4", "mlp"]
DatasetName = Literal["auto", "mnist", "fashion_mnist", "digits", "cifar10"]

Resize = Literal["crop", "squash"]

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
# Max pooling may come before these, because the maximum of f(x) is f of the maximum of x.
MONOTONE_ACTIVATIONS = frozenset("relu sigmoid tanh elu selu softplus leaky_relu".split())
KNOWN_DATASETS: tuple[str, ...] = tuple(n for n in get_args(DatasetName) if n != "auto")


# A short description of each network, for `--help`.
MODELS: dict[str, str] = {
    "lenet": "LeNet-5, two convolutions",
    "conv3": "three convolutions and a layer of 1,024 units",
    "conv4": "four convolutions with dropout, for colour photos",
    "mlp": "three fully connected layers, no convolution",
}

# A network of one's own: the module and the class, e.g. mymodule:MyNet.
OWN_MODEL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
MODEL_METAVAR = f"{{{','.join(get_args(ModelName))}}}|MODULE:CLASS"

# The layer before the logits. Its outputs are the features. Known here without TensorFlow.
FEATURE_LAYERS: dict[str, str] = {"lenet": "fc2", "conv3": "fc1", "conv4": "fc1", "mlp": "fc2"}

# The groups of figures of a LeNet, for `--help`. They are defined in `gallery/groups.py`, which needs
# matplotlib.
FIGURE_GROUPS = (
    "architecture",
    "inputs",
    "learning_curves",
    "diagnostics",
    "kernels",
    "weight_images",
    "feature_maps",
    "fc_matrices",
    "fc2_maps",
    "fc2_sorted",
    "fc2_map",
    "fc2_means",
    "confusion_matrix",
    "mistakes",
    "evolution",
    "top_images",
    "maximization",
    "attribution",
    "embeddings",
)

# Options that have no effect on some networks: which networks, and why.
WITHOUT_EFFECT: dict[str, tuple[tuple[str, ...], str]] = {
    "fc2_activation": (("conv3", "conv4"), "fc2 computes the logits"),
    "conv_dropout": (("mlp",), "it has no pooling layers"),
}


class OptimizerSpec(TypedDict):
    """What builds one optimizer: a class of `keras.optimizers` and its arguments."""

    keras_class: str
    learning_rate: float
    arguments: dict[str, float | bool]
    weight_decay: NotRequired[float]


# Default learning rates: 0.01 for plain gradient descent (LeCun et al. 1998 and the classic
# homework), 0.001 for Adam (Kingma & Ba 2015) and RMSProp (Hinton's lecture 6e),
# 0.01 for Adagrad (Duchi et al. 2011; the same as in PyTorch).
OPTIMIZERS: dict[str, OptimizerSpec] = {
    "sgd": {"keras_class": "SGD", "learning_rate": 0.01, "arguments": {}},
    "momentum": {"keras_class": "SGD", "learning_rate": 0.01, "arguments": {"momentum": 0.9}},
    "nesterov": {
        "keras_class": "SGD",
        "learning_rate": 0.01,
        "arguments": {"momentum": 0.9, "nesterov": True},
    },
    "adam": {"keras_class": "Adam", "learning_rate": 0.001, "arguments": {}},
    "adamw": {
        "keras_class": "AdamW",
        "learning_rate": 0.001,
        "arguments": {},
        "weight_decay": 0.004,
    },
    "rmsprop": {"keras_class": "RMSprop", "learning_rate": 0.001, "arguments": {}},
    "adagrad": {"keras_class": "Adagrad", "learning_rate": 0.01, "arguments": {}},
}


# The default batch size and number of epochs follow the number of training images, so that few
# images are enough updates to learn from: an epoch has at least 25 updates and the training
# at least 1,500, within these limits. See `defaults.training`.
UPDATES_PER_EPOCH, BATCH_SIZES = 25, (8, 100)
UPDATES, EPOCHS = 1_500, (5, 60)

# Defaults for folders of photos. The size is small enough for a CPU and large enough to
# recognize a cat.
FOLDER_IMAGE_SIZE = 64
FOLDER_TEST_FRACTION = 0.15

# The share of the training images that --early-stopping takes for validation.
VALIDATION_FRACTION = 0.15

# The number of training images of the data sets that have a name.
TRAINING_IMAGES: dict[str, int] = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "digits": 797,
    "cifar10": 50_000,
}


class ModelDefaults(TypedDict):
    """The defaults of one network.

    The learning rate applies only to `optimizer`. Other optimizers use their own defaults.
    """

    init: str
    conv_dropout: float
    fc_dropout: float
    optimizer: NotRequired[str]
    learning_rate: NotRequired[float]
    batch_size: NotRequired[int]


# conv3 and conv4 have the values of their original implementations. conv4's keeps 20 % of the
# values after a pooling layer and 50 % after a fully connected layer.
MODEL_DEFAULTS: dict[str, ModelDefaults] = {
    "lenet": {"init": "glorot_uniform", "conv_dropout": 0.0, "fc_dropout": 0.0},
    "conv3": {
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "init": "source",
        "conv_dropout": 0.0,
        "fc_dropout": 0.5,
    },
    "conv4": {
        "optimizer": "adam",
        "learning_rate": 1e-5,
        "batch_size": 10,
        "init": "source",
        "conv_dropout": 0.8,
        "fc_dropout": 0.5,
    },
    "mlp": {"init": "glorot_uniform", "conv_dropout": 0.0, "fc_dropout": 0.0},
}

OWN_MODEL_DEFAULTS: ModelDefaults = {
    "init": "glorot_uniform",
    "conv_dropout": 0.0,
    "fc_dropout": 0.0,
}


def model_defaults(model: str) -> ModelDefaults:
    """The defaults of a network by its name, or those of every network of one's own."""
    return MODEL_DEFAULTS.get(model, OWN_MODEL_DEFAULTS)


# The initial bias that belongs to each initializer. None: as in the original implementation, where
# it may differ from layer to layer.
INITIAL_BIAS: dict[str, float | None] = {
    "glorot_uniform": 0.0,
    "he_normal": 0.0,
    "truncated_normal": 0.1,
    "source": None,
}

# The share of all steps in which the learning rate of one_cycle rises, if warmup_steps is 0.
ONE_CYCLE_RISE = 0.3
# A GPU is fastest with whole batches. On a processor, two threads work on two halves.
TOWERS, GPU_TOWERS = 2, 1
