from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.combinations import combine
from experiments.grid import tuning
from experiments.grid.jobs import Outcome
from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, hold_out


def configs() -> list[TrainConfig]:
    lists = {"optimizer": ("sgd", "adam"), "seed": (4, 5)}
    return [c.resolved(60_000) for c in combine(lists, TrainConfig(), Path("grid"))]


def test_five_rates_around_the_default_with_only_the_first_seed() -> None:
    tried = tuning.candidates(configs(), Path("grid/tuning"))
    assert {config.seed for config in tried} == {4}
    rates = [config.learning_rate for config in tried]
    assert rates == [0.001, 0.003, 0.01, 0.03, 0.1, 0.0001, 0.0003, 0.001, 0.003, 0.01]
    assert len({config.run_name for config in tried}) == 10
    assert {config.logdir for config in tried} == {Path("grid/tuning")}


def test_the_best_on_the_validation_images_is_chosen() -> None:
    outcomes = []
    for config in tuning.candidates(configs(), Path("grid/tuning")):
        assert config.learning_rate is not None
        closeness = -abs(np.log10(config.learning_rate) - np.log10(0.003))
        outcomes.append(Outcome(config, "done", 1.0, 0.9 + 0.01 * float(closeness)))
    choice = tuning.choose(configs(), outcomes, 10)
    assert {name: rates["best"] for name, rates in choice.items()} == {
        "relu-sgd": 0.003,
        "relu-adam": 0.003,
    }
    assert not choice["relu-sgd"]["at_edge"]
    assert {config.learning_rate for config in tuning.tuned(configs(), choice)} == {0.003}


def test_the_lower_loss_decides_between_equal_accuracies_and_an_edge_is_marked() -> None:
    tried = tuning.candidates(configs()[:1], Path("grid/tuning"))
    outcomes = [Outcome(c, "done", 1.0 - (c.learning_rate or 0), 0.5) for c in tried]
    choice = tuning.choose(configs()[:1], outcomes, 10)["relu-sgd"]
    assert (choice["best"], choice["at_edge"]) == (0.1, True)


def test_a_rate_that_diverged_or_only_guesses_is_never_chosen() -> None:
    config = configs()[:1]
    tried = tuning.candidates(config, Path("grid/tuning"))
    diverged = [Outcome(config, "diverged", None, 0.99) for config in tried]
    guessing = replace(diverged[0], state="done", test_loss=2.302, test_accuracy=0.1135)
    for outcomes in (diverged, [guessing, *diverged[1:]]):
        choice = tuning.choose(config, outcomes, 10)
        assert choice["relu-sgd"]["best"] is None and not choice["relu-sgd"]["at_edge"]
        assert tuning.without_success(config, outcomes, 10) == config
        assert [c.learning_rate for c in tuning.tuned(config, choice)] == [0.01], "the default"
        said = tuning.in_words("relu-sgd", choice["relu-sgd"])
        assert said.startswith("relu-sgd: no learning rate from 0.001 to 0.1 learned anything")
    learns = replace(guessing, test_loss=2.0, test_accuracy=0.3)
    assert tuning.choose(config, [learns, *diverged[1:]], 10)["relu-sgd"]["best"] == 0.001
    assert tuning.without_success(config, [learns, *diverged[1:]], 10) == []


def test_the_wider_range_surrounds_the_first() -> None:
    first, wider = (
        [c.learning_rate for c in tuning.candidates(configs()[:1], Path("grid"), factors)]
        for factors in (tuning.FACTORS, tuning.WIDER_FACTORS)
    )
    assert wider == [0.0001, 0.0003, 0.3, 1.0]
    assert not set(first) & set(wider)


def as_set(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_validation_images_are_training_images_of_every_class(
    make_dataset: Callable[..., Dataset],
) -> None:
    dataset = make_dataset(train=90, test=30)
    held = hold_out(dataset, 0.1)
    assert np.bincount(held.test.labels).tolist() == [3, 3, 3]
    assert len(held.train) == 81
    both = as_set(held.train.images) + as_set(held.test.images)
    assert sorted(both) == sorted(as_set(dataset.train.images))
    assert not set(both) & set(as_set(dataset.test.images))
    assert held.sha256 != dataset.sha256
    assert held.name == "tiny_validation"


def test_the_same_images_are_held_out_each_time(tiny: Dataset) -> None:
    assert hold_out(tiny, 0.2).sha256 == hold_out(tiny, 0.2).sha256


@pytest.mark.parametrize("fraction", [0.0, 0.001, 1.0])
def test_a_fraction_that_leaves_nothing_is_refused(tiny: Dataset, fraction: float) -> None:
    with pytest.raises(ValueError, match="in two"):
        hold_out(tiny, fraction)
