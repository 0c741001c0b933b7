"""What a report computes from whole runs: one row per run for pandas, and whether runs start alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments.combinations import hyperparameters
from experiments.report.data import TARGETS, Comparison, varied_options


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One flat row per run, for `results.csv` and `results.json`; numbers unrounded."""
    varied = varied_options([run.config for run in comparison.runs])
    found = []
    for combination in comparison.combinations:
        for run in combination.runs:
            more = hyperparameters(run.config)
            more = {name: more.get(name) for name in varied}
            _, accuracies = run.record.test_accuracy
            row = {
                "run": run.folder.name,
                "combination": combination.label,
                "model": run.config.model,
                "activation": run.config.activation,
                "optimizer": run.config.optimizer,
                **more,
                "learning_rate": run.config.learning_rate,
                "seed": run.config.seed,
                "state": run.state,
                "epochs": run.record.step / run.record.steps_per_epoch,
                "steps": run.record.step,
                "test_accuracy": run.test_accuracy,
                "test_loss": run.test_loss,
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
            found.append({name: _finite(value) for name, value in row.items()})
    return found


def same_start(comparison: Comparison) -> bool | None:
    """Whether all runs of a seed began with the same kernels, bit for bit, as recorded at step 0.

    Returns:
        None where fewer than two runs of any seed recorded their start.
    """
    starts: dict[int, list[dict[str, np.ndarray]]] = {}
    for run in comparison.runs:
        start = run.inspection(0, "kernel")
        if start:
            starts.setdefault(run.config.seed, []).append(start)
    pairs = [(each[0], other) for each in starts.values() for other in each[1:]]
    if not pairs:
        return None
    return all(
        one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)
        for one, other in pairs
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
