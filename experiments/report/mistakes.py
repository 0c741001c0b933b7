"""The classes that a trained network confuses, and its most confident wrong predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.data import Combination
from experiments.report.images import Image, photo
from experiments.report.sentences import first_few
from lenet.diagnosis import percent
from lenet.option_checks import join
from lenet.recording.predictions import Predictions

MOST_CLASSES = 12  # With more classes, a table of classes is too large to read.
SHOWN_MISTAKES, SHOWN_PAIRS = 10, 3


@dataclass(frozen=True)
class Mistake:
    """A wrongly classified test image."""

    image: Image
    label: str
    predicted: str
    confidence: str


@dataclass(frozen=True)
class Confusion:
    """The predictions of one run for all test images.

    Attributes:
        classes: the names of the classes.
        counts: the number of images of each class (row) with each prediction (column); () if there
            are too many classes.
        most: the largest number of wrong predictions in one cell, at least 1.
        sentence: how many predictions are wrong, and which mistake is the most common.
        mistakes: the wrong predictions, the one with the highest probability first.
    """

    classes: Sequence[str]
    counts: Sequence[Sequence[int]]
    most: int
    sentence: str
    mistakes: Sequence[Mistake]


def confusion_of(combination: Combination) -> Confusion | None:
    """The confusion table of the run that is shown; None if its predictions were not recorded."""
    run = combination.shown
    if (read := run.predictions) is None:
        return None
    names = [str(name) for name in run.dataset["class_names"]]
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (read.labels.astype(int), read.predicted.astype(int)), 1)
    wrong = counts - np.diag(np.diag(counts))
    return Confusion(
        names,
        counts.tolist() if len(names) <= MOST_CLASSES else (),
        max(1, int(wrong.max())),
        _sentence(counts, wrong, names),
        _mistakes(read, names),
    )


def _sentence(counts: np.ndarray, wrong: np.ndarray, names: Sequence[str]) -> str:
    """What the confusion table shows.

    Args:
        counts: the number of images by class and prediction, int [classes, classes].
        wrong: the same without correct predictions.
    """
    images = counts.sum(1)
    total = int(wrong.sum())
    if total == 0:
        return f"All {images.sum():,} test images are classified correctly."
    predicted = np.flatnonzero(counts.sum(0))
    if len(predicted) == 1:
        return (
            f'The network gives the same answer, "{names[predicted[0]]}", for every test image, so '
            f"{total:,} of {images.sum():,} test images are classified wrongly."
        )
    count = int(wrong.max())
    pairs = [f"{names[i]} is classified as {names[j]}" for i, j in np.argwhere(wrong == count)]
    each = " each" if len(pairs) > 1 else ""
    often = f"Most often, {first_few(pairs, SHOWN_PAIRS)} ({count} images{each})."
    if count == 1:
        often = "Each mistake occurs only once."
    shares = wrong.sum(1) / np.maximum(images, 1)
    worst = np.flatnonzero(shares == shares.max()).tolist()
    text = f"The network classifies {total:,} of {images.sum():,} test images wrongly. {often} "
    never = [names[c] for c in np.flatnonzero((wrong.sum(0) == 0) & (shares == 1)).tolist()]
    if len(never) > SHOWN_PAIRS:
        return f"{text}{len(never)} of the {len(names)} classes are never predicted."
    if never:
        classes = "The classes" if len(never) > 1 else "The class"
        return f"{text}{classes} {join(never)} {'are' if len(never) > 1 else 'is'} never predicted."
    if len(worst) > 1:
        classes = first_few([names[c] for c in worst], SHOWN_PAIRS)
        return f"{text}The largest share of wrong predictions is that of {classes}, {percent(shares.max())} each."
    return (
        f"{text}The class with the largest share of wrong predictions is {names[worst[0]]}: "
        f"{int(wrong.sum(1)[worst[0]]):,} of {int(images[worst[0]]):,} images, {percent(shares.max())}."
    )


def _mistakes(read: Predictions, names: Sequence[str]) -> list[Mistake]:
    mistakes = []
    for index, pixels in zip(read.mistakes[:SHOWN_MISTAKES], read.images, strict=False):
        label, predicted = names[int(read.labels[index])], names[int(read.predicted[index])]
        confidence = f"{100 * float(read.confidence[index]):.1f} %"
        alt = f"{label}, classified as {predicted} with a probability of {confidence}"
        mistakes.append(Mistake(photo(pixels, alt), label, predicted, confidence))
    return mistakes
