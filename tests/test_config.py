"""The options of a run: which values are refused, JSON in and out, and the defaults filled in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from lenet import registry
from lenet.config import TrainConfig
from lenet.data.datasets import load_dataset
from lenet.registry import OPTIMIZERS


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (
            "activation",
            "rellu",
            "one of relu, sigmoid, tanh, elu, selu, gelu, silu, softplus, leak",
        ),
        ("fc2_activation", "", "one of relu, sigmoid"),
        ("optimizer", "Adam", "one of sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad"),
        ("schedule", "step", "one of constant, cosine, one_cycle"),
        ("init", "zeros", "one of glorot_uniform, he_normal, truncated_normal"),
        ("model", "alexnet9", "one of lenet"),
        ("dataset", "cifar", "one of auto, mnist, fashion_mnist, digits"),
        ("epochs", 0, "a whole number of at least 1"),
        ("batch_size", 0, "a whole number of at least 1"),
        ("batch_size", 32.0, "a whole number of at least 1"),
        ("max_steps", -1, "a whole number of at least 1"),
        ("log_every", 0, "a whole number of at least 1"),
        ("inspect_every", -1, "a whole number of at least 0"),
        ("eval_every", -1, "a whole number of at least 0"),
        ("checkpoint_every", -5, "a whole number of at least 0"),
        ("warmup_steps", -1, "a whole number of at least 0"),
        ("seed", -1, "a whole number of at least 0"),
        ("keep", 1, "a whole number of at least 2"),
        ("threads", 0, "a whole number of at least 1"),
        ("towers", 0, "a whole number of at least 1"),
        ("learning_rate", -0.1, "a number above 0"),
        ("learning_rate", 0.0, "a number above 0"),
        ("learning_rate", float("nan"), "a number above 0"),
        ("learning_rate", float("inf"), "a number above 0"),
        ("init_stddev", 0.0, "a number above 0"),
        ("init_bias", float("inf"), "a finite number"),
        ("run_name", "a/b", "the name of one folder"),
        ("run_name", "..", "the name of one folder"),
        ("run_name", "", "the name of one folder"),
        ("classes", (), "at least one class"),
        ("conv_dropout", 1.0, "from 0 to less than 1"),
        ("fc_dropout", -0.1, "from 0 to less than 1"),
        ("learning_rate", "fast", "a number above 0"),
        ("activation", None, "one of relu, sigmoid"),
        ("seed", None, "a whole number of at least 0"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(
    option: str, value: Any, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"Expected {option} to be {expected}") as caught:
        TrainConfig(**{option: value})
    assert f"Received: {option}={value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        (
            "mlp",
            {"conv_dropout": 0.5},
            "no conv_dropout with model='mlp', because it has no pooling layers",
        ),
        (
            "conv3",
            {"fc2_activation": "tanh"},
            "no fc2_activation with model='conv3', because fc2 computes",
        ),
        (
            "conv4",
            {"fc2_activation": "tanh"},
            "no fc2_activation with model='conv4', because fc2 computes",
        ),
    ],
)
def test_an_option_without_effect_is_an_error(
    model: Any, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=f"Expected {expected}.*Received: {next(iter(options))}="):
        TrainConfig(model=model, **options)
    TrainConfig(**options)


@pytest.mark.parametrize("model", registry.MODELS)
def test_a_resolved_config_is_valid_for_every_network(model: Any) -> None:
    resolved = TrainConfig(model=model, activation="tanh").resolved(60_000)
    assert TrainConfig.from_json(resolved.to_json()).resolved(60_000) == dataclasses.replace(
        resolved, logdir=resolved.logdir.resolve()
    )


FULL = TrainConfig(
    activation="tanh",
    fc2_activation="sigmoid",
    init="truncated_normal",
    init_bias=0.25,
    data_dir=Path("/images"),
    learning_rate=0.5,
    schedule="cosine",
    epochs=7,
    logdir=Path("/runs"),
    run_name="one",
    resume=Path("/runs/one"),
    deterministic=False,
)


@pytest.mark.parametrize("config", [TrainConfig(logdir=Path("/logs")), FULL], ids=["plain", "full"])
def test_options_survive_json(config: TrainConfig) -> None:
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_paths_in_json_can_be_read_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert TrainConfig().to_json()["logdir"] == str(tmp_path / "summary_logs")


def test_json_names_every_option() -> None:
    assert list(TrainConfig().to_json()) == [
        field.name for field in dataclasses.fields(TrainConfig)
    ]


def test_names_in_json_that_are_not_options_are_ignored() -> None:
    assert TrainConfig.from_json({"seed": 3, "environment": {}}) == TrainConfig(seed=3)


def test_a_bad_value_in_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected optimizer to be one of"):
        TrainConfig.from_json({"optimizer": "adamax"})


class TestResolved:
    """What `None` becomes once the data set is known."""

    @pytest.mark.parametrize(
        ("images", "batch_size", "epochs"),
        [
            (797, 32, 60),  # The bundled digits.
            (60_000, 100, 5),  # MNIST and Fashion-MNIST.
            (50_000, 100, 5),  # CIFAR-10.
            (46, 8, 60),
            (400, 16, 60),
            (10_000, 100, 15),
            (1, 8, 60),
        ],
    )
    def test_epochs_and_batch_follow_the_number_of_images(
        self, images: int, batch_size: int, epochs: int
    ) -> None:
        resolved = TrainConfig().resolved(images)
        assert (resolved.batch_size, resolved.epochs) == (batch_size, epochs)
        assert TrainConfig(model="conv4").resolved(images).batch_size == 10
        assert TrainConfig(batch_size=images).resolved(images).epochs == epochs

    def test_the_named_data_sets_have_the_sizes_that_help_speaks_of(self) -> None:
        assert set(registry.TRAINING_IMAGES) == set(registry.KNOWN_DATASETS)
        assert len(load_dataset("digits").train) == registry.TRAINING_IMAGES["digits"]

    @pytest.mark.parametrize(
        ("optimizer", "rate"),
        [
            ("sgd", 0.01),
            ("momentum", 0.01),
            ("nesterov", 0.01),
            ("adam", 0.001),
            ("adamw", 0.001),
            ("rmsprop", 0.001),
            ("adagrad", 0.01),
        ],
    )
    def test_an_optimizer_has_its_own_rate(self, optimizer: Any, rate: float) -> None:
        assert TrainConfig(optimizer=optimizer).resolved(60_000).learning_rate == rate

    def test_every_optimizer_has_a_rate(self) -> None:
        assert all(spec["learning_rate"] > 0 for spec in OPTIMIZERS.values())

    @pytest.mark.parametrize(
        ("init", "bias"), [("glorot_uniform", 0.0), ("he_normal", 0.0), ("truncated_normal", 0.1)]
    )
    def test_an_initializer_has_its_own_bias(self, init: Any, bias: float) -> None:
        assert TrainConfig(init=init).resolved(60_000).init_bias == bias

    def test_fc2_has_the_same_activation_unless_another_is_given(self) -> None:
        assert TrainConfig(activation="tanh").resolved(60_000).fc2_activation == "tanh"
        both = TrainConfig(activation="tanh", fc2_activation="sigmoid")
        assert both.resolved(60_000).fc2_activation == "sigmoid"

    def test_options_that_are_given_take_precedence(self) -> None:
        own = TrainConfig(batch_size=7, epochs=2, learning_rate=0.3, init_bias=0.0)
        resolved = own.resolved(797)
        assert (resolved.batch_size, resolved.epochs, resolved.learning_rate) == (7, 2, 0.3)
        own = dataclasses.replace(own, init="truncated_normal")
        assert own.resolved(797).init_bias == 0.0

    def test_it_is_the_same_the_second_time(self) -> None:
        once = TrainConfig(init="truncated_normal").resolved(797)
        assert once.resolved(797) == once


def test_paths_may_be_strings() -> None:
    config = TrainConfig(logdir="runs", data_dir="photos", resume="runs/first")
    assert (config.logdir, config.data_dir) == (Path("runs"), Path("photos"))
    assert config.resume == Path("runs/first")
    assert TrainConfig.from_json(config.to_json()).logdir == Path("runs").resolve()
