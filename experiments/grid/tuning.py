"""Chooses a learning rate for each combination, without using the test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.combinations import without_seed
from experiments.grid.jobs import Outcome
from lenet.config import TrainConfig
from lenet.diagnosis import is_guessing

HELD_OUT = 0.1
# Multiples of the default rate: the first ones, and those for a combination that did not learn with
# any of the first.
FACTORS, WIDER_FACTORS = (0.1, 0.3, 1, 3, 10), (0.01, 0.03, 30, 100)


def candidates(
    configs: Sequence[TrainConfig], folder: Path, factors: Sequence[float] | None = None
) -> list[TrainConfig]:
    """Runs with several rates around the default of each combination, with the first seed only.

    Args:
        configs: the configs of the grid, resolved.
        folder: the folder for these runs.
        factors: the rates to try, as multiples of the default rate; default: FACTORS.
    """
    if not configs:
        return []
    first_seed = configs[0].seed
    configs_to_try = []
    for config in configs:
        if config.seed != first_seed:
            continue
        assert config.learning_rate is not None
        for factor in factors or FACTORS:
            rate = float(f"{config.learning_rate * factor:.6g}")  # 0.03, not 0.03000…04.
            name = f"{without_seed(config)}-learning_rate{rate}-seed{config.seed}"
            configs_to_try.append(
                replace(config, learning_rate=rate, logdir=folder, run_name=name, inspect_every=0)
            )
    return configs_to_try


def without_success(
    configs: Sequence[TrainConfig], outcomes: Iterable[Outcome], num_classes: int
) -> list[TrainConfig]:
    """The configs of the combinations that did not learn with any rate that was tried."""
    choice = choose(configs, outcomes, num_classes)
    return [config for config in configs if choice[without_seed(config)]["best"] is None]


def choose(
    configs: Sequence[TrainConfig], outcomes: Iterable[Outcome], num_classes: int
) -> dict[str, Any]:
    """Chooses the rate with the highest validation accuracy; if equal, the one with the lower loss.

    A rate with which the network only guesses is never chosen.

    Args:
        configs: the configs of the grid, resolved.
        outcomes: the outcomes of the runs from `candidates`.
        num_classes: the number of classes, which determines what guessing is.

    Returns:
        JSON values by combination: all tried rates with their results, the best rate (None if the
        network learned with none of them), and whether it is the lowest or highest rate tried. In
        that case, a better rate may be outside the range.
    """
    tried: dict[str, list[dict[str, Any]]] = {without_seed(config): [] for config in configs}
    for outcome in outcomes:
        rate = outcome.config.learning_rate
        name = without_seed(outcome.config).removesuffix(f"-learning_rate{rate}")
        if name in tried:
            tried[name].append(
                {
                    "learning_rate": rate,
                    "state": outcome.state,
                    "learned": _learned(outcome, num_classes),
                    "validation_accuracy": outcome.test_accuracy,
                    "validation_loss": outcome.test_loss,
                }
            )
    return {name: _best(rows) for name, rows in tried.items()}


def tuned(configs: Sequence[TrainConfig], choice: dict[str, Any]) -> list[TrainConfig]:
    """The same runs, each with the best rate of its combination, or its own if there is none."""
    return [
        replace(config, learning_rate=choice[without_seed(config)]["best"] or config.learning_rate)
        for config in configs
    ]


def in_words(name: str, rates: dict[str, Any]) -> str:
    """One line about the choice for one combination."""
    if rates["best"] is None:
        tried = [row["learning_rate"] for row in rates["tried"]]
        return (
            f"{name}: no learning rate from {tried[0]:g} to {tried[-1]:g} learned anything, so none "
            "is chosen. Its runs use the default rate."
        )
    edge = " (the lowest or highest rate tried)" if rates["at_edge"] else ""
    return f"{name}: learning rate {rates['best']:g}{edge}"


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: row["learning_rate"])
    learned = [row for row in rows if row["learned"]]
    if not learned:
        return {"best": None, "at_edge": False, "tried": rows}
    best = max(learned, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
    at_edge = best in (rows[0], rows[-1])
    return {"best": best["learning_rate"], "at_edge": at_edge, "tried": rows}


def _learned(outcome: Outcome, num_classes: int) -> bool:
    loss, accuracy = outcome.test_loss, outcome.test_accuracy
    if outcome.state != "done" or loss is None or accuracy is None:
        return False
    return not is_guessing(loss, accuracy, num_classes)
