"""What the numbers of a comparison support: means, spreads, ranks and ties, a row per run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from experiments.combinations import hyperparameters
from experiments.report.data import Combination, Comparison, varied_options

CONFIDENCE = 0.95


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean (NaN of none) and the sample standard deviation (None of fewer than two)."""
    if not values:
        return math.nan, None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def supported(better: Sequence[float], worse: Sequence[float]) -> bool | None:
    """Whether the spread over seeds supports that two means differ.

    Welch's t interval: the difference must be larger than the half width of its 95 % interval.
    Where one side has a single seed, it is taken to spread like the other.

    Returns:
        None where neither side has a spread to judge by.
    """
    known = [float(np.var(values, ddof=1)) for values in (better, worse) if len(values) > 1]
    if not known or not better or not worse:
        return None
    both = known if len(known) == 2 else known * 2
    parts = [variance / len(v) for variance, v in zip(both, (better, worse), strict=True)]
    difference, total = float(np.mean(better) - np.mean(worse)), sum(parts)
    if total == 0:
        return difference > 0
    if len(known) == 2:
        pairs = zip(parts, (better, worse), strict=True)
        freedom = total**2 / sum(part**2 / (len(v) - 1) for part, v in pairs)
    else:
        freedom = max(len(better), len(worse)) - 1
    half_width = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(total)
    return difference > half_width


def ranking(combinations: Iterable[Combination]) -> list[tuple[int | None, bool, Combination]]:
    """Combinations by mean test accuracy, the best first; those with no finished run last.

    Returns:
        For each its rank (None without a finished run) and whether it shares that rank: one is a
        tie with the best of a rank where the spread over seeds does not support a difference.
    """
    ordered = sorted(
        combinations,
        key=lambda c: -(mean_and_spread(c.values("test_accuracy"))[0] if c.done else -1),
    )
    ranks: list[int | None] = []
    leader: Combination | None = None
    for place, combination in enumerate(ordered):
        if not combination.done:
            ranks.append(None)
            continue
        values = combination.values("test_accuracy")
        if leader is None or supported(leader.values("test_accuracy"), values) is not False:
            # None: a single seed each; then only the same number is a tie.
            same = leader is not None and leader.values("test_accuracy") == values
            if not same:
                leader = combination
                ranks.append(place + 1)
                continue
        ranks.append(ranks[-1])
    shared = {rank for rank in ranks if rank is not None and ranks.count(rank) > 1}
    return [(rank, rank in shared, c) for rank, c in zip(ranks, ordered, strict=True)]


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
                "epochs_to_95": run.epochs_to(0.95),
                "epochs_to_98": run.epochs_to(0.98),
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
