"""Defaults that depend on the network, the optimizer or the data set, as values and in words."""

from __future__ import annotations

from typing import Any

from lenet import registry
from lenet.option_checks import in_words, join, with_exceptions


def resolve(
    model: str,
    activation: str,
    optimizer: str,
    init: str | None,
    dataset_name: str,
    device: str,
) -> dict[str, Any]:
    """The default of every option whose default depends on other options or on the data set.

    Args:
        init: the initializer, or None for the network's own.
        dataset_name: the data set that the images come from, e.g. "mnist" or "digits".
        device: where the network is trained, e.g. "cpu" or "gpu:0".
    """
    own = registry.model_defaults(model)
    training = registry.DATASET_DEFAULTS.get(dataset_name, registry.TRAINING_DEFAULTS)
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
        "epochs": training["epochs"],
        "batch_size": own.get("batch_size", training["batch_size"]),
        "towers": registry.GPU_TOWERS if device.startswith("gpu") else registry.TOWERS,
    }


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


def _training(name: str) -> str:
    """A default of training, in words, with the data sets and networks that differ from it."""
    usual: dict[str, Any] = {**registry.TRAINING_DEFAULTS}
    own: dict[str, Any] = {**registry.DATASET_DEFAULTS, **registry.MODEL_DEFAULTS}
    return with_exceptions(
        usual[name], {key: values[name] for key, values in own.items() if name in values}
    )


IN_WORDS = {
    "fc2_activation": "same as --activation",
    "init": _by_model("init"),
    "init_bias": _initial_bias(),
    "conv_dropout": _by_model("conv_dropout"),
    "fc_dropout": _by_model("fc_dropout"),
    "learning_rate": _learning_rate(),
    "epochs": _training("epochs"),
    "batch_size": _training("batch_size"),
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
