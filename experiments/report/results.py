"""Computes the rows of `results.csv`, and whether runs started from the same weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.combinations import hyperparameters
from experiments.report.data import TARGETS, Combination, Comparison, Run
from experiments.report.grouping import varied_options


def result_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One flat row per run for `results.csv` and `results.json`. Numbers are not rounded."""
    varied = varied_options([run.config for run in comparison.runs])
    return [
        {name: _finite(value) for name, value in _row(combination, run, varied).items()}
        for combination in comparison.combinations
        for run in combination.runs
    ]


def _row(combination: Combination, run: Run, varied: Sequence[str]) -> dict[str, Any]:
    options = hyperparameters(run.config)
    _, accuracies = run.record.test_accuracy
    return {
        "run": run.folder.name,
        "combination": combination.label,
        "model": run.config.model,
        "activation": run.config.activation,
        "optimizer": run.config.optimizer,
        **{name: options.get(name) for name in varied},
        "learning_rate": run.config.learning_rate,
        "seed": run.config.seed,
        "state": run.state,
        "epochs": run.record.step / run.record.steps_per_epoch,
        "steps": run.record.step,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "validation_accuracy": run.status.get("validation_accuracy"),
        "validation_loss": run.status.get("validation_loss"),
        "best_step": run.record.best_step,
        "best_test_accuracy": float(accuracies.max()) if len(accuracies) else math.nan,
        "train_accuracy": run.record.last_train_accuracy,
        **{f"epochs_to_{100 * target:.0f}": run.epochs_to(target) for target in TARGETS},
        "seconds": run.status.get("seconds"),
        "seconds_per_epoch": run.seconds_per_epoch,
        "images_per_second": run.status.get("images_per_second"),
        "diagnosis": "; ".join(finding.verdict for finding in run.findings),
        "dataset": run.dataset["name"],
        "dataset_sha256": run.dataset["sha256"],
        "weights_sha256": run.status.get("weights_sha256"),
    }


def same_start(comparison: Comparison) -> bool | None:
    """Whether all runs with the same seed recorded the same kernels at step 0, bit for bit.

    Returns:
        None if no two runs with the same seed recorded step 0, so there is nothing to compare.
    """
    starts: dict[int, list[dict[str, np.ndarray]]] = {}
    for run in comparison.runs:
        start = run.inspection(0, "kernel")
        if start:
            starts.setdefault(run.config.seed, []).append(start)
    pairs = [(kernels[0], other) for kernels in starts.values() for other in kernels[1:]]
    if not pairs:
        return None
    return all(
        one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)
        for one, other in pairs
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
