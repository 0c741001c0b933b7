"""The order in which images are seen: one permutation per epoch, made from the seed alone."""

from __future__ import annotations

import numpy as np


def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of the training images in one epoch.

    It depends on nothing but its arguments, so a run that goes on after an interruption has
    no state of a random generator to restore.

    Args:
        seed: the run's seed.
        epoch: counted from 0.
        size: how many training images there are.

    Returns:
        int32 [size], a permutation of 0 … size - 1.
    """
    return np.random.default_rng([seed, epoch]).permutation(size).astype(np.int32)


def probe_indices(size: int, count: int) -> np.ndarray:
    """Images spread evenly over a data set: the same in every run on it, whatever its seed.

    Returns:
        int32 [min(count, size)], ascending.
    """
    count = min(count, size)
    return (np.arange(count) * size // max(count, 1)).astype(np.int32)
