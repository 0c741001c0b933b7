"""Groups runs into combinations. The runs of one combination differ only in their seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.combinations import VARIABLE, as_word
from experiments.report.data import Combination, Run
from lenet import registry
from lenet.config import TrainConfig

# Unless the user sets them, these depend on other options, e.g. the learning rate on the optimizer.
DEPENDENT = (
    "fc2_activation",
    "init_bias",
    "learning_rate",
    "weight_decay",
    "validation_fraction",
)


def combine(runs: Sequence[Run]) -> tuple[Combination, ...]:
    """The combinations, in the order in which a report shows them."""
    varied = varied_options([run.config for run in runs])
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        others = [_in_words(name, getattr(run.config, name)) for name in varied]
        variant = " · ".join([run.config.optimizer, *others])
        groups.setdefault((run.config.activation, variant), []).append(run)
    activations, optimizers = registry.ACTIVATIONS, list(registry.OPTIMIZERS)

    def order(key: tuple[str, str]) -> tuple[int, int, list[Any]]:
        config = groups[key][0].config
        others = [getattr(config, name) for name in varied]
        return (
            activations.index(config.activation),
            optimizers.index(config.optimizer),
            [value if isinstance(value, (int, float)) else str(value) for value in others],
        )

    return tuple(
        Combination(
            number,
            label=f"{activation} · {variant}",
            activation=activation,
            variant=variant,
            runs=tuple(
                sorted(groups[activation, variant], key=lambda run: (run.config.seed, run.folder))
            ),
        )
        for number, (activation, variant) in enumerate(sorted(groups, key=order))
    )


def varied_options(configs: Sequence[TrainConfig]) -> list[str]:
    """The options in which some runs differ, without activation, optimizer and seed.

    An option may depend on others, e.g. the rate on the optimizer. It counts only if it differs
    between runs whose other options are equal.
    """
    free = [
        name for name in VARIABLE if name not in ("activation", "optimizer", "seed", *DEPENDENT)
    ]
    varied = [name for name in free if len({getattr(config, name) for config in configs}) > 1]
    for name in DEPENDENT:
        groups: dict[tuple[Any, ...], set[Any]] = {}
        for config in configs:
            key = tuple(getattr(config, n) for n in ("activation", "optimizer", *varied))
            groups.setdefault(key, set()).add(getattr(config, name))
        if any(len(values) > 1 for values in groups.values()):
            varied.append(name)
    return varied


def _in_words(option: str, value: Any) -> str:
    """The value of an option as a reader sees it, e.g. "fc dropout 0.5" or "no early stopping"."""
    name = option.replace("_", " ")
    if value is None or (option == "early_stopping" and value == 0):
        return f"no {name}"
    return f"{name} {as_word(value)}"
