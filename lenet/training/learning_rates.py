"""Computes the learning rate of every step: constant, cosine or one_cycle, with optional warm-up."""

from __future__ import annotations

import numpy as np

from lenet.registry import ONE_CYCLE_RISE

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 250_000


def learning_rates(
    name: str, peak: float, first: int, count: int, total_steps: int, warmup_steps: int = 0
) -> np.ndarray:
    """The learning rates of the updates first + 1 … first + count.

    constant: `peak`. cosine: half a cosine from `peak` to 0 (Loshchilov & Hutter, SGDR, 2017,
    without restarts). one_cycle: a rise from peak / 25 during the first 30 % of the steps, then
    a fall to peak / 250,000, both along half a cosine (Smith & Topin, Super-convergence, 2018,
    in PyTorch's form). With `warmup_steps`, the rate first rises linearly (for one_cycle: along
    half a cosine) and reaches `peak` at step `warmup_steps`.

    Args:
        name: a `registry.LearningRateSchedule`.
        first: number of updates so far.
        total_steps: number of updates in the whole training.

    Returns:
        float32 [count].
    """
    step = np.arange(first + 1, first + count + 1, dtype=np.float64)
    if name == "one_cycle":
        warmup_steps = warmup_steps or max(1, round(ONE_CYCLE_RISE * total_steps))
        rising = _half_cosine(peak * ONE_CYCLE_START, peak, step / warmup_steps)
    else:
        rising = peak * step / max(warmup_steps, 1)
    progress = (step - 1 - warmup_steps) / max(total_steps - warmup_steps, 1)
    if name == "constant":
        settled = np.full_like(step, peak)
    else:
        end = peak * ONE_CYCLE_END if name == "one_cycle" else 0.0
        settled = _half_cosine(peak, end, progress)
    return np.where(step < warmup_steps, rising, settled).astype(np.float32)


def _half_cosine(start: float, end: float, progress: np.ndarray) -> np.ndarray:
    """Half a cosine from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * (1 + np.cos(np.pi * np.clip(progress, 0, 1))) / 2
