"""Defaults that depend on the network, the optimizer or the data set, as values and in words."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lenet import registry
from lenet.option_checks import in_words, join, with_exceptions


class Training(NamedTuple):
    """The default batch size and the default number of epochs."""

    batch_size: int
    epochs: int


def training(images: int) -> Training:
    """The default batch size and number of epochs, by one rule for all data sets.

    Args:
        images: the number of training images.

    Returns:
        A batch size of a 25th of the images, from 8 to 100, and as many epochs as make 1,500
        updates, from 5 to 60.
    """
    batch_size = _within(registry.BATCH_SIZES, round(images / registry.UPDATES_PER_EPOCH))
    updates = math.ceil(images / batch_size)
    return Training(batch_size, _within(registry.EPOCHS, math.ceil(registry.UPDATES / updates)))


def resolve(
    model: str,
    activation: str,
    optimizer: str,
    init: str | None,
    images: int,
    device: str,
    early_stopping: int,
) -> dict[str, Any]:
    """The default of every option whose default depends on other options or on the data set.

    Args:
        init: the initializer, or None for the network's own.
        images: the number of training images.
        device: where the network is trained, e.g. "cpu" or "gpu:0".
        early_stopping: the patience in epochs, or 0.
    """
    own = registry.model_defaults(model)
    batch_size, epochs = training(images)
    rate = registry.OPTIMIZERS[optimizer]["learning_rate"]
    if own.get("optimizer") == optimizer:
        rate = own.get("learning_rate", rate)
    init = init or own["init"]
    return {
        "fc2_activation": activation,
        "init": init,
        "init_bias": registry.INITIAL_BIAS[init],
        "conv_dropout": own["conv_dropout"],
        "fc_dropout": own["fc_dropout"],
        "learning_rate": rate,
        "weight_decay": registry.OPTIMIZERS[optimizer].get("weight_decay", 0.0),
        "validation_fraction": registry.VALIDATION_FRACTION if early_stopping else 0.0,
        "epochs": epochs,
        "batch_size": own.get("batch_size", batch_size),
        "towers": registry.GPU_TOWERS if device.startswith("gpu") else registry.TOWERS,
    }


def _within(limits: tuple[int, int], number: int) -> int:
    """The number itself or, if it is outside the limits, the nearer limit."""
    return min(max(number, limits[0]), limits[1])


def _by_model(name: str) -> str:
    """A default that depends on the network, in words."""
    defaults: dict[str, Any] = {**registry.MODEL_DEFAULTS}
    return with_exceptions(
        defaults["lenet"][name], {model: own[name] for model, own in defaults.items()}
    )


def _initial_bias() -> str:
    named = {
        f"--init {init}": "the original value" if bias is None else bias
        for init, bias in registry.INITIAL_BIAS.items()
    }
    return with_exceptions(0.0, named)


def _learning_rate() -> str:
    usual = ", ".join(
        f"{name} {in_words(spec['learning_rate'])}" for name, spec in registry.OPTIMIZERS.items()
    )
    own = {
        f"{model} and {defaults['optimizer']}": defaults["learning_rate"]
        for model, defaults in registry.MODEL_DEFAULTS.items()
        if "optimizer" in defaults and "learning_rate" in defaults
    }
    return with_exceptions(usual, own)


def _weight_decay() -> str:
    own = {name: spec.get("weight_decay", 0.0) for name, spec in registry.OPTIMIZERS.items()}
    return with_exceptions(0.0, own)


def _epochs() -> str:
    (fewest, most), digits = registry.EPOCHS, registry.TRAINING_IMAGES["digits"]
    return (
        f"as many as make {registry.UPDATES:,} updates, from {fewest} to {most}: "
        f"{training(registry.TRAINING_IMAGES['mnist']).epochs} with mnist, "
        f"{training(digits).epochs} with digits"
    )


def _batch_size() -> str:
    smallest, largest = registry.BATCH_SIZES
    usual = f"a {registry.UPDATES_PER_EPOCH}th of the training images, from {smallest} to {largest}"
    own: dict[str, Any] = {**registry.MODEL_DEFAULTS}
    return with_exceptions(
        usual, {key: values["batch_size"] for key, values in own.items() if "batch_size" in values}
    )


IN_WORDS = {
    "fc2_activation": "same as --activation",
    "init": _by_model("init"),
    "init_bias": _initial_bias(),
    "conv_dropout": _by_model("conv_dropout"),
    "fc_dropout": _by_model("fc_dropout"),
    "learning_rate": _learning_rate(),
    "weight_decay": _weight_decay(),
    "validation_fraction": f"0; {registry.VALIDATION_FRACTION:g} with --early-stopping",
    "epochs": _epochs(),
    "batch_size": _batch_size(),
    "towers": f"{registry.TOWERS}; {registry.GPU_TOWERS} on a GPU",
}
"""The same defaults as `--help` shows them, e.g. "0; 0.5 with conv3 and conv4"."""

MODELS = "; ".join(f"{name}: {summary}" for name, summary in registry.MODELS.items())
"""Every network with a short description, for `--help`."""

NOT_WITH = {
    name: f"Not available with {join(models)}, because {reason}."
    for name, (models, reason) in registry.WITHOUT_EFFECT.items()
}
"""For each option, the networks on which it has no effect, and the reason."""
