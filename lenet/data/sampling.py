"""Which images are seen when: one permutation per epoch, and the images inspections look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenet.data.datasets import Split

PROBE_IMAGES = 100
PROBE_PIXELS = 2**20


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


def evaluation_indices(seed: int, step: int, size: int, count: int) -> np.ndarray:
    """Random test images for an evaluation between epochs, made from seed and step alone.

    Returns:
        int32 [min(count, size)], no image twice.
    """
    rng = np.random.default_rng([seed, step, count])
    return rng.permutation(size)[:count].astype(np.int32)


@dataclass(frozen=True)
class Probe:
    """The images every inspection looks at: the same in every run on a data set.

    Attributes:
        images: uint8 [n, height, width, channels], training images, class by class.
        labels: int32 [n], ascending.
        shown: uint8 [height, width, channels], the one test image whose feature maps are shown.
        shown_label: its label.
    """

    images: np.ndarray
    labels: np.ndarray
    shown: np.ndarray
    shown_label: int


def choose_probe(train: Split, test: Split, count: int = PROBE_IMAGES) -> Probe:
    """The first images of each class, as many of each as `count` allows, and the first test image.

    Of large images fewer, since every layer's output for all of them is in memory at once.
    """
    classes = np.unique(train.labels)
    height, width = train.images.shape[1:3]
    per_class = max(1, min(count, PROBE_PIXELS // (height * width)) // len(classes))
    chosen = np.concatenate([np.flatnonzero(train.labels == c)[:per_class] for c in classes])
    return Probe(train.images[chosen], train.labels[chosen], test.images[0], int(test.labels[0]))
