from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.combinations import (
    VARIABLE,
    as_word,
    combine,
    hyperparameters,
    plural,
    without_seed,
)
from experiments.grid import options
from lenet.config import TrainConfig

SHARED = TrainConfig()


def names(**lists: tuple[object, ...]) -> list[str | None]:
    return [config.run_name for config in combine(lists, SHARED, Path("grid"))]


def parse(*arguments: str) -> options.GridOptions:
    return options.parse(arguments, "grid", "")


def test_a_run_is_named_after_its_combination_and_seed() -> None:
    assert names(activation=("relu", "tanh"), optimizer=("sgd",), seed=(0, 1)) == [
        "relu-sgd-seed0",
        "relu-sgd-seed1",
        "tanh-sgd-seed0",
        "tanh-sgd-seed1",
    ]


def test_only_what_varies_is_in_the_name() -> None:
    assert names(init=("he_normal",), batch_size=(64,), seed=(3,)) == ["relu-adam-seed3"]
    assert names(init=("he_normal", "glorot_uniform"), seed=(0,)) == [
        "relu-adam-he_normal-seed0",
        "relu-adam-glorot_uniform-seed0",
    ]
    assert names(learning_rate=(None, 1e-5), fc2_activation=("relu", "tanh"), seed=(0,)) == [
        "relu-adam-learning_rate_default-fc2_relu-seed0",
        "relu-adam-learning_rate_default-fc2_tanh-seed0",
        "relu-adam-learning_rate1e-05-fc2_relu-seed0",
        "relu-adam-learning_rate1e-05-fc2_tanh-seed0",
    ]


def test_almost_equal_values_get_folders_of_their_own() -> None:
    assert len(set(names(learning_rate=(0.0012345678, 0.0012345679)))) == 2


def test_a_value_given_twice_counts_once() -> None:
    assert names(optimizer=("sgd", "sgd"), seed=(0, 0)) == ["relu-sgd-seed0"]


def test_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value for --learning-rates"):
        names(learning_rate=())


def test_the_grids_folder_is_the_logdir_of_all() -> None:
    configs = combine({"seed": (0, 1)}, TrainConfig(log_every=7), Path("here"))
    assert [(c.seed, c.logdir, c.log_every) for c in configs] == [
        (0, Path("here"), 7),
        (1, Path("here"), 7),
    ]
    assert {without_seed(config) for config in configs} == {"relu-adam"}


def test_hyperparameters_exclude_the_seed_and_options_that_are_not_set() -> None:
    shown = hyperparameters(TrainConfig(seed=5).resolved(60_000))
    assert "seed" not in shown
    assert "max_steps" not in shown
    assert None not in shown.values()
    assert shown["learning_rate"] == 0.001


@pytest.mark.parametrize("option", VARIABLE)
def test_every_list_option_has_a_singular_and_a_plural_name(option: str) -> None:
    value = {"model": "lenet", "activation": "tanh", "fc2_activation": "tanh"}
    value |= {"init": "he_normal", "optimizer": "sgd", "schedule": "cosine", "augment": "flip"}
    for name in {option, plural(option)}:
        flag = f"--{name.replace('_', '-')}"
        (parsed,) = parse(flag, value.get(option, "3")).lists[option]
        assert as_word(parsed) == value.get(option, "3")


def test_augmentations_are_compared_as_sets() -> None:
    chosen = parse("--augments", "none", "shift+flip", "--seeds", "0")
    configs = combine(
        chosen.lists | {"activation": ("relu",), "optimizer": ("adam",)}, SHARED, Path("grid")
    )
    assert [config.augment for config in configs] == [(), ("shift", "flip")]
    names = [config.run_name for config in configs]
    assert names == ["relu-adam-augment_none-seed0", "relu-adam-augment_shift+flip-seed0"]
    assert [hyperparameters(c)["augment"] for c in configs] == ["none", "shift+flip"]
    with pytest.raises(ValueError, match="augment to be one of shift, .* Received: .*'turn'"):
        combine({"augment": (("turn",),)}, SHARED, Path("grid"))


def test_defaults() -> None:
    chosen = parse()
    assert chosen.lists["activation"] == ("relu", "sigmoid", "tanh")
    assert chosen.lists["optimizer"] == ("sgd", "adam")
    assert chosen.lists["seed"] == (0, 1, 2)
    assert (chosen.workers, chosen.shared.figures, chosen.shared.quiet) == ("auto", False, True)


def test_several_values_at_once() -> None:
    chosen = parse("--activations", "relu", "tanh", "--epochs", "1", "2", "--workers", "0")
    assert chosen.lists["activation"] == ("relu", "tanh")
    assert chosen.lists["epochs"] == (1, 2)
    assert chosen.workers == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "a/b"], "one folder"),
        (["--workers", "-1"], "0 or more"),
        (["--tune", "--learning-rate", "0.1"], "either --tune or --learning-rates"),
        (["--scheduler", "tcp://127.0.0.1:8786"], "tls://"),
        (["--scheduler", "tls://127.0.0.1:8786"], "--tls-ca-file"),
        (["--dashboard"], "pip install bokeh"),
        (["--tls-key", "key.pem"], "Expected --scheduler together with --tls-key"),
    ],
)
def test_options_that_cannot_be_combined_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(*arguments)


def test_help_needs_no_tensorflow(root: Path) -> None:
    program = (
        "import sys\nfrom experiments.grid.__main__ import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print([n for n in ('tensorflow', 'distributed') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert "--learning-rates FLOAT" in result.stdout
    assert result.stdout.endswith("[]\n")
