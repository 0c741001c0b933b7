"""Chooses images: the order of each epoch, evaluation samples, and images for inspections."""

from __future__ import annotations

import math
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
    """The first images of each class (equal numbers, `count` at most), and the first test image."""
    chosen = first_of_each_class(train.labels, train.images.shape[1:3], count)
    return Probe(train.images[chosen], train.labels[chosen], test.images[0])


def first_of_each_class(
    labels: np.ndarray, size: tuple[int, ...], count: int = PROBE_IMAGES
) -> np.ndarray:
    """The indices of the first images of each class, class by class, in equal numbers.

    Args:
        labels: int [n].
        size: the size of an image in pixels, e.g. height and width. If images are large, fewer
            are chosen, so that they have at most `PROBE_PIXELS` together.
        count: the maximum number of images, but at least one of each class is chosen.

    Returns:
        int [at most n].
    """
    classes = np.unique(labels)
    per_class = max(1, min(count, PROBE_PIXELS // math.prod(size)) // len(classes))
    return np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in classes])
