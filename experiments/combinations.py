"""Turns lists of options into the runs of a grid, one TrainConfig per run. No TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lenet.config import TrainConfig
from lenet.option_checks import NETWORK, TRAINING

# The options that can be compared within one grid. All other options have one value for the whole
# grid. Runs on different data sets cannot be compared, and logging does not change the weights.
VARIABLE = tuple(f.name for f in fields(TrainConfig) if f.metadata["group"] in (NETWORK, TRAINING))
# A folder's name shows the values of these options without the option's name, because a value such
# as `cosine` can only be a schedule.
CLEAR_WITHOUT_NAME = ("model", "activation", "init", "optimizer", "schedule")
SHOWN_FIRST = ("activation", "optimizer", "learning_rate")
DEFAULT_LISTS: dict[str, tuple[Any, ...]] = {
    "activation": ("relu", "sigmoid", "tanh"),
    "optimizer": ("sgd", "adam"),
    "seed": (0, 1, 2),
}


def as_word(value: Any) -> str:
    """An option's value as one word. Several augmentations become "shift+flip"; none: "none"."""
    if isinstance(value, tuple):
        return "+".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def from_word(word: str) -> tuple[str, ...]:
    """The inverse of `as_word` for a tuple."""
    return () if word == "none" else tuple(word.split("+"))


def plural(option: str) -> str:
    """The name of an option that takes a list, e.g. `activations`. `epochs` stays `epochs`."""
    return option if option.endswith("s") else f"{option}s"


def combine(
    lists: Mapping[str, Sequence[Any]], shared: TrainConfig, folder: Path
) -> list[TrainConfig]:
    """Every combination of the values of some options. Seeds change fastest.

    Args:
        lists: the values of each option; a repeated value counts once.
        shared: the options that are the same for all runs.
        folder: the grid's folder, which becomes the `logdir` of every run.

    Returns:
        One config per run, with the name of its folder as `run_name`.

    Raises:
        ValueError: an option has no value, an invalid value, or a value without effect on one of
            the networks.
    """
    for option, values in lists.items():
        if not values:
            raise ValueError(
                f"Expected at least one value for --{plural(option).replace('_', '-')}."
            )
    unique = {option: tuple(dict.fromkeys(values)) for option, values in lists.items()}
    seeds = unique.pop("seed", (shared.seed,))
    varied = [option for option, values in unique.items() if len(values) > 1]
    configs = []
    for values in itertools.product(*unique.values()):
        combination = replace(shared, **dict(zip(unique, values, strict=True)))
        name = combination_name(combination, varied)
        configs += [
            replace(combination, seed=seed, logdir=folder, run_name=f"{name}-seed{seed}")
            for seed in seeds
        ]
    return configs


def combination_name(config: TrainConfig, varied: Iterable[str]) -> str:
    """`<activation>-<optimizer>[-<other varied options>]`, without the seed."""
    others = [name for name in varied if name not in ("activation", "optimizer", "seed")]
    parts = [_in_folder_name(name, getattr(config, name)) for name in others]
    return "-".join([config.activation, config.optimizer, *parts])


def without_seed(config: TrainConfig) -> str:
    """The name of a run's combination: the name of its folder without the seed."""
    assert config.run_name is not None
    return config.run_name.removesuffix(f"-seed{config.seed}")


def hyperparameters(config: TrainConfig) -> dict[str, Any]:
    """The options that define a combination, for TensorBoard's HParams page.

    The seed is left out, so that the page groups the seeds of a combination. Options that are
    not set are left out too, because the page cannot show None.
    """
    values = {name: getattr(config, name) for name in VARIABLE if name != "seed"}
    return {
        name: as_word(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }


def hyperparameter_values(configs: Iterable[TrainConfig]) -> dict[str, list[Any]]:
    """The hyperparameters for TensorBoard's HParams page, with the values that occur in a grid.

    The page shows only a few options at first, so these are activation, optimizer and learning
    rate, and then the others that vary.
    """
    values: dict[str, dict[Any, None]] = {name: {} for name in SHOWN_FIRST}
    for config in configs:
        for name, value in hyperparameters(config).items():
            values.setdefault(name, {})[value] = None
    shown = (name for name in values if name in SHOWN_FIRST or len(values[name]) > 1)
    return {name: list(values[name]) for name in shown}


def _in_folder_name(option: str, value: Any) -> str:
    """The part of a folder's name that shows one option."""
    if value is None:
        return f"{option}_default"
    if option in CLEAR_WITHOUT_NAME:
        return str(value).replace(":", ".")  # A network of one's own is MODULE:CLASS.
    short = {"fc2_activation": "fc2_", "augment": "augment_"}.get(option, option)
    return f"{short}{as_word(value) if isinstance(value, tuple) else value}"
