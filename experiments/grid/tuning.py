"""Chooses a learning rate for each combination, without using the test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.combinations import without_seed
from experiments.grid.jobs import Outcome
from lenet.config import TrainConfig

HELD_OUT = 0.1
FACTORS = (0.1, 0.3, 1, 3, 10)


def candidates(configs: Sequence[TrainConfig], folder: Path) -> list[TrainConfig]:
    """Runs with five rates around the default rate of each combination, with the first seed only.

    Args:
        configs: the configs of the grid, resolved.
        folder: the folder for these runs.
    """
    first_seed = configs[0].seed
    configs_to_try = []
    for config in configs:
        if config.seed != first_seed:
            continue
        assert config.learning_rate is not None
        for factor in FACTORS:
            rate = float(f"{config.learning_rate * factor:.6g}")  # 0.03, not 0.03000…04.
            name = f"{without_seed(config)}-learning_rate{rate}-seed{config.seed}"
            configs_to_try.append(
                replace(config, learning_rate=rate, logdir=folder, run_name=name, inspect_every=0)
            )
    return configs_to_try


def choose(configs: Sequence[TrainConfig], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Chooses the rate with the highest validation accuracy; if equal, the one with the lower loss.

    Args:
        configs: the configs of the grid, resolved.
        outcomes: the outcomes of the runs from `candidates`.

    Returns:
        JSON values by combination: all tried rates with their results, the best rate, and whether
        it is the lowest or highest rate tried. In that case, a better rate may be outside the range.
    """
    tried: dict[str, list[dict[str, Any]]] = {without_seed(config): [] for config in configs}
    for outcome in outcomes:
        rate = outcome.config.learning_rate
        name = without_seed(outcome.config).removesuffix(f"-learning_rate{rate}")
        tried[name].append(
            {
                "learning_rate": rate,
                "state": outcome.state,
                "validation_accuracy": outcome.test_accuracy,
                "validation_loss": outcome.test_loss,
            }
        )
    defaults = {without_seed(config): config.learning_rate for config in configs}
    return {name: _best(rows, defaults[name]) for name, rows in tried.items()}


def tuned(configs: Sequence[TrainConfig], choice: dict[str, Any]) -> list[TrainConfig]:
    """The same runs, each with the best learning rate of its combination."""
    return [
        replace(config, learning_rate=choice[without_seed(config)]["best"]) for config in configs
    ]


def _best(rows: list[dict[str, Any]], default: float | None) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: row["learning_rate"])
    done = [row for row in rows if row["state"] == "done"]
    best = max(
        done,
        key=lambda row: (row["validation_accuracy"], -row["validation_loss"]),
        default={"learning_rate": default},
    )["learning_rate"]
    edges = (rows[0]["learning_rate"], rows[-1]["learning_rate"])
    return {"best": best, "at_edge": best in edges, "tried": rows}
