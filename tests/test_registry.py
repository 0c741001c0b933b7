"""The names a user can choose from: each has what it needs behind it."""

from __future__ import annotations

from typing import get_args

import keras
import pytest

from lenet import models, registry


def test_every_optimizer_name_has_a_specification() -> None:
    assert list(registry.OPTIMIZERS) == list(get_args(registry.Optimizer))


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_every_optimizer_builds_with_its_arguments(name: str) -> None:
    optimizer = models.build_optimizer(name, 0.125)
    settings = optimizer.get_config()
    spec = registry.OPTIMIZERS[name]
    assert type(optimizer).__name__ == spec["keras_class"]
    assert float(optimizer.learning_rate) == 0.125
    assert {key: settings[key] for key in spec["arguments"]} == spec["arguments"]


def test_momentum_and_nesterov_differ() -> None:
    settings = {n: models.build_optimizer(n, 0.1).get_config() for n in ("momentum", "nesterov")}
    assert settings["momentum"]["momentum"] == settings["nesterov"]["momentum"] == 0.9
    assert (settings["momentum"]["nesterov"], settings["nesterov"]["nesterov"]) == (False, True)


@pytest.mark.parametrize("name", registry.ACTIVATIONS)
def test_every_activation_is_one_of_keras(name: str) -> None:
    assert callable(keras.activations.get(name))


def test_every_model_name_has_a_class() -> None:
    assert set(get_args(registry.ModelName)) == set(models.MODELS)


def test_data_sets_with_defaults_of_their_own_exist() -> None:
    assert set(registry.DATASET_DEFAULTS) <= set(registry.KNOWN_DATASETS)
    assert "auto" not in registry.KNOWN_DATASETS
