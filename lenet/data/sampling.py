"""Chooses images: the order of each epoch, evaluation samples, and images for inspections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenet.data.splits import Split

PROBE_IMAGES = 100
PROBE_PIXELS = 2**20  # For all probe images together: their outputs are in memory.


def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of the training images in one epoch.

    It depends only on the arguments, so that a resumed run needs no saved random state.

    Args:
        seed: the run's seed.
        epoch: the epoch, counted from 0.
        size: the number of training images.

    Returns:
        int32 [size], a permutation of 0 … size - 1.
    """
    return np.random.default_rng([seed, epoch]).permutation(size).astype(np.int32)


def evaluation_indices(seed: int, step: int, size: int, count: int) -> np.ndarray:
    """Random test images for an evaluation within an epoch. They depend only on the arguments.

    Returns:
        int32 [min(count, size)], no image twice.
    """
    rng = np.random.default_rng([seed, step, count])
    return rng.permutation(size)[:count].astype(np.int32)


@dataclass(frozen=True)
class Probe:
    """The images that every inspection uses, the same in every run on a data set.

    Attributes:
        images: uint8 [n, height, width, channels], training images, class by class.
        labels: int32 [n], ascending.
        test_image: uint8 [height, width, channels], the one test image whose feature maps are
            recorded.
    """

    images: np.ndarray
    labels: np.ndarray
    test_image: np.ndarray


def choose_probe(train: Split, test: Split, count: int = PROBE_IMAGES) -> Probe:
    """The first images of each class (equal numbers, `count` at most), and the first test image.

    If images are large, there are fewer, so that they have at most `PROBE_PIXELS` together.
    """
    classes = np.unique(train.labels)
    height, width = train.images.shape[1:3]
    per_class = max(1, min(count, PROBE_PIXELS // (height * width)) // len(classes))
    chosen = np.concatenate([np.flatnonzero(train.labels == c)[:per_class] for c in classes])
    return Probe(train.images[chosen], train.labels[chosen], test.images[0])
