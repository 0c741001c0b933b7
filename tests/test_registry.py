"""The names a user can choose from: each has everything that the program needs for it."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from lenet import registry
from lenet.networks import architectures, optimizers


def test_every_optimizer_name_has_a_specification() -> None:
    assert list(registry.OPTIMIZERS) == list(get_args(registry.Optimizer))


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_every_optimizer_builds_with_its_arguments(name: str) -> None:
    optimizer = optimizers.build_optimizer(name, 0.125)
    settings = optimizer.get_config()
    spec = registry.OPTIMIZERS[name]
    assert type(optimizer).__name__ == spec["keras_class"]
    assert float(optimizer.learning_rate) == 0.125
    assert {key: settings[key] for key in spec["arguments"]} == spec["arguments"]


@pytest.mark.parametrize(("name", "keras_class"), [("adam", "Adam"), ("adamw", "AdamW")])
def test_adam_is_keras_s_adam(name: str, keras_class: str) -> None:
    arguments = registry.OPTIMIZERS[name]["arguments"]
    ours = optimizers.build_optimizer(name, 0.01)
    theirs = getattr(keras.optimizers, keras_class)(learning_rate=0.01, **arguments)
    draws = np.random.default_rng(0)
    start, gradients = draws.normal(size=(7, 5)), draws.normal(size=(30, 7, 5))
    ends = []
    for optimizer in (ours, theirs):
        weight = keras.Variable(start, dtype="float32")
        optimizer.build([weight])
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
        ends.append([weight.numpy(), *(slot.numpy() for slot in optimizer.variables)])
    assert np.abs(ends[0][0] - start).max() > 0.05
    for own, reference in zip(*ends, strict=True):
        np.testing.assert_allclose(own, reference, rtol=2e-5, atol=1e-7)


def test_momentum_and_nesterov_differ() -> None:
    settings = {
        n: optimizers.build_optimizer(n, 0.1).get_config() for n in ("momentum", "nesterov")
    }
    assert settings["momentum"]["momentum"] == settings["nesterov"]["momentum"] == 0.9
    assert (settings["momentum"]["nesterov"], settings["nesterov"]["nesterov"]) == (False, True)


@pytest.mark.parametrize("name", registry.ACTIVATIONS)
def test_every_activation_is_one_of_keras(name: str) -> None:
    assert callable(keras.activations.get(name))


def test_every_model_name_has_a_class_a_summary_and_defaults() -> None:
    names = set(get_args(registry.ModelName))
    assert (
        set(architectures.MODELS) == set(registry.MODELS) == set(registry.MODEL_DEFAULTS) == names
    )


def test_every_initializer_has_a_bias() -> None:
    assert list(registry.INITIAL_BIAS) == list(get_args(registry.Initializer))


def test_options_without_effect_are_those_that_the_networks_lack_a_layer_for() -> None:
    models = {name: architectures.MODELS[name]() for name in get_args(registry.ModelName)}
    lacking = {
        "fc2_activation": {name for name, model in models.items() if "fc2" not in model.act},
        "conv_dropout": {
            name
            for name, model in models.items()
            if not any(isinstance(layer, keras.layers.MaxPool2D) for layer in model.stacked)
        },
    }
    assert {name: set(found[0]) for name, found in registry.WITHOUT_EFFECT.items()} == lacking
