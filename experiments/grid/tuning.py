"""Chooses a learning rate for each combination, without ever looking at the test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.combinations import without_seed
from experiments.grid.run_one import Outcome
from lenet.config import TrainConfig

FOLDER = "tuning"
HELD_OUT = 0.1
FACTORS = (0.1, 0.3, 1, 3, 10)


def candidates(configs: Sequence[TrainConfig], folder: Path) -> list[TrainConfig]:
    """The runs that try five rates around the default one, for the first seed of each combination.

    Args:
        configs: resolved.
        folder: where the runs are to go.
    """
    first_seed = configs[0].seed
    tried = []
    for config in configs:
        if config.seed != first_seed:
            continue
        assert config.learning_rate is not None
        for factor in FACTORS:
            rate = float(f"{config.learning_rate * factor:.6g}")  # 0.03, not 0.03000…04.
            name = f"{without_seed(config)}-learning_rate{rate}-seed{config.seed}"
            tried.append(
                replace(config, learning_rate=rate, logdir=folder, run_name=name, inspect_every=0)
            )
    return tried


def choose(configs: Sequence[TrainConfig], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Picks the rate with the best validation accuracy; of equal ones, the least loss.

    Args:
        configs: the grid's, resolved.
        outcomes: of the runs of `candidates`.

    Returns:
        JSON values: by combination, every rate tried with what came of it, the best one, and
        whether that is the least or the greatest tried, so that a better one may lie beyond.
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
    """The same runs, each at its combination's best rate."""
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
