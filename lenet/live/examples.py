"""Chooses the test images that the page shows: a fair sample, and the surest mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenet.analysis.trained import TrainedRun, predict, softmax
from lenet.data.splits import Split

SAMPLE = 200
MISTAKES = 40
BYTES = 6_000_000  # For all images of the page together.


@dataclass(frozen=True)
class Examples:
    """Test images for the page.

    Attributes:
        images: uint8 [n, height, width, channels].
        labels: int32 [n].
        numbers: int [n], the place of each image in the test set.
        sample: the first images, as many as this number, are a fair sample of the test set. The
            others are further mistakes.
        mistakes: bool [n, runs], whether a run, at its last step, answers the image wrongly.
    """

    images: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    sample: int
    mistakes: np.ndarray


def choose_examples(test: Split, runs: list[TrainedRun]) -> Examples:
    """Chooses images evenly from the whole test set, then mistakes, the surest first.

    Large images are fewer, so that the page can be opened.
    """
    probabilities = np.stack([softmax(predict(run.model, test.images)[0]) for run in runs], 1)
    wrong = probabilities.argmax(2) != test.labels[:, None]
    room = max(1, BYTES // max(1, test.images[0].size))
    count = min(SAMPLE, len(test), room)
    sample = np.arange(count) * len(test) // count
    certainty = np.where(wrong, probabilities.max(2), 0).max(1)
    certainty[sample] = 0
    surest = np.argsort(-certainty, kind="stable")[: min(MISTAKES, room - count)]
    numbers = np.concatenate([sample, surest[certainty[surest] > 0]])
    return Examples(test.images[numbers], test.labels[numbers], numbers, count, wrong[numbers])
