"""The names a user can choose from, with their stated defaults: plain data, no TensorFlow.

The classes behind the names live in `models.py`; this module stays import-free so
that `python -m lenet.train --help` answers in a blink.
"""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

Activation = Literal[
    "relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "leaky_relu"
]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"]
LearningRateSchedule = Literal["constant", "cosine", "one_cycle"]
Initializer = Literal["glorot_uniform", "he_normal", "truncated_normal", "source"]
Augmentation = Literal["shift", "rotate", "zoom", "flip"]
ModelName = Literal["lenet", "conv3", "conv4", "mlp"]
DatasetName = Literal["auto", "mnist", "fashion_mnist", "digits", "cifar10"]

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
Resize = Literal["crop", "squash"]
KNOWN_DATASETS: tuple[str, ...] = tuple(n for n in get_args(DatasetName) if n != "auto")


class OptimizerSpec(TypedDict):
    """How to build one optimizer: a `keras.optimizers` class and its arguments."""

    keras_class: str
    learning_rate: float
    arguments: dict[str, float | bool]


# Default rates: 0.01 for plain gradient descent (LeCun et al. 1998 and the classic
# homework), 0.001 for Adam (Kingma & Ba 2015) and RMSProp (Hinton's lecture 6e),
# 0.01 for Adagrad (Duchi et al. 2011, as PyTorch has it).
OPTIMIZERS: dict[str, OptimizerSpec] = {
    "sgd": {"keras_class": "SGD", "learning_rate": 0.01, "arguments": {}},
    "momentum": {"keras_class": "SGD", "learning_rate": 0.01, "arguments": {"momentum": 0.9}},
    "nesterov": {
        "keras_class": "SGD",
        "learning_rate": 0.01,
        "arguments": {"momentum": 0.9, "nesterov": True},
    },
    "adam": {"keras_class": "Adam", "learning_rate": 0.001, "arguments": {}},
    "adamw": {"keras_class": "AdamW", "learning_rate": 0.001, "arguments": {"weight_decay": 0.004}},
    "rmsprop": {"keras_class": "RMSprop", "learning_rate": 0.001, "arguments": {}},
    "adagrad": {"keras_class": "Adagrad", "learning_rate": 0.01, "arguments": {}},
}


class TrainingDefaults(TypedDict):
    """How long to train, and on how many images at a time, where the user does not say."""

    epochs: int
    batch_size: int


TRAINING_DEFAULTS: TrainingDefaults = {"epochs": 5, "batch_size": 100}

# Folders of pictures, where nothing is said: small enough for a CPU, large enough to know a cat by.
FOLDER_IMAGE_SIZE = 64
FOLDER_TEST_FRACTION = 0.15

# A data set not listed here trains with TRAINING_DEFAULTS. The 797 training images of
# the bundled digits need many more, smaller steps.
DATASET_DEFAULTS: dict[str, TrainingDefaults] = {
    "digits": {"epochs": 60, "batch_size": 32},
}


class ModelDefaults(TypedDict, total=False):
    """What a network is trained with where the user does not say.

    The learning rate holds for `optimizer` alone; another optimizer brings its own.
    """

    optimizer: str
    learning_rate: float
    batch_size: int
    init: str
    conv_dropout: float
    fc_dropout: float


# conv3 and conv4 as their sources have them; conv4's keeps 20 % and 50 % of the values.
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
