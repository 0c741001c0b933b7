"""Which runs a grid has: lists of options in, one TrainConfig per run out. No TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lenet.config import NETWORK, TRAINING, TrainConfig

# What can be compared within one grid. The rest holds once for all: another data set is another
# comparison, and what is logged or how many processors work changes no weights.
VARIABLE = tuple(f.name for f in fields(TrainConfig) if f.metadata["group"] in (NETWORK, TRAINING))
# What a reader needs no name beside: `cosine` tells that it is a schedule.
SPEAK_FOR_THEMSELVES = ("model", "activation", "init", "optimizer", "schedule")
DEFAULT_LISTS: dict[str, tuple[Any, ...]] = {
    "activation": ("relu", "sigmoid", "tanh"),
    "optimizer": ("sgd", "adam"),
    "seed": (0, 1, 2),
}


def as_word(value: Any) -> str:
    """One option's value in a word: of several things at once, "shift+flip" or "none"."""
    if isinstance(value, tuple):
        return "+".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def from_word(word: str) -> tuple[str, ...]:
    """The inverse of `as_word` for several things at once."""
    return () if word == "none" else tuple(word.split("+"))


def plural(option: str) -> str:
    """The name of an option that takes a list: `activations`; `epochs` is one already."""
    return option if option.endswith("s") else f"{option}s"


def combine(
    lists: Mapping[str, Sequence[Any]], shared: TrainConfig, folder: Path
) -> list[TrainConfig]:
    """Every combination of some options' values, seeds innermost.

    Args:
        lists: the values of each option; a value given twice counts once.
        shared: the options that hold for all.
        folder: the grid's folder, which becomes every run's `logdir`.

    Returns:
        One config per run, each with its folder's name as `run_name`.

    Raises:
        ValueError: an option has no value, or one that is not valid.
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
    words = [_word(name, getattr(config, name)) for name in others]
    return "-".join([config.activation, config.optimizer, *words])


def without_seed(config: TrainConfig) -> str:
    """The name of a run's combination: that of its folder, less the seed."""
    assert config.run_name is not None
    return config.run_name.removesuffix(f"-seed{config.seed}")


def hyperparameters(config: TrainConfig) -> dict[str, Any]:
    """What makes a combination, for TensorBoard's HParams page.

    The seed is left out, so that the seeds of a combination are one group there; so is what
    is not set, since the page knows no None.
    """
    values = {name: getattr(config, name) for name in VARIABLE if name != "seed"}
    return {
        name: as_word(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }


def _word(option: str, value: Any) -> str:
    """One option as a part of a folder's name."""
    if value is None:
        return f"{option}_default"
    if option in SPEAK_FOR_THEMSELVES:
        return str(value)
    short = {"fc2_activation": "fc2_", "augment": "augment_"}.get(option, option)
    return f"{short}{as_word(value) if isinstance(value, tuple) else value}"
