"""What the trained network predicts for each test image: `predictions.npz`.

A report uses this file to compare networks image by image and to show which classes they confuse.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from lenet import files, reading
from lenet.data.datasets import Split
from lenet.recording import runs

MOST_MISTAKES = 12


@dataclass(frozen=True)
class Predictions:
    """The predictions of the kept weights: of the last step, or of the best one with early stopping.

    Attributes:
        step: the number of updates.
        labels, predicted: the class of each test image and the predicted class, uint16 [n].
        confidence: the probability of the predicted class, float16 [n], from 0 to 1.
        mistakes: the indices of the wrong predictions with the highest confidence, int32 [m]. There
            are at most 12, and the highest confidence comes first.
        images: these images, uint8 [m, height, width, channels].
    """

    step: int
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    mistakes: np.ndarray
    images: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether each test image is classified correctly; bool [n]."""
        return self.predicted == self.labels


def predictions_of(step: int, logits: np.ndarray, test: Split) -> Predictions:
    """Computes the predictions.

    Args:
        step: the number of updates.
        logits: the logits of all test images, float32 [n, classes].
        test: the test images with their classes.
    """
    predicted = logits.argmax(1)
    # The largest probability of the softmax.
    confidence = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
    wrong = np.flatnonzero(predicted != test.labels)
    mistakes = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]
    return Predictions(
        step,
        test.labels.astype(np.uint16),
        predicted.astype(np.uint16),
        confidence.astype(np.float16),
        mistakes.astype(np.int32),
        test.images[mistakes],
    )


def save(run: Path, predictions: Predictions) -> None:
    """Writes `predictions.npz`. Its entries are the attributes of `Predictions`.

    Raises:
        OSError: the folder cannot be written.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, **vars(predictions))
    files.write(run / runs.PREDICTIONS, packed.getvalue())


def load(run: Path, classes: int = 2**16) -> Predictions | None:
    """Reads the predictions of a run; None if there are none yet.

    Args:
        classes: the number of classes, if it is known.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged; the message names it and the reason.
    """
    path = run / runs.PREDICTIONS
    if not path.exists():
        return None
    read = reading.read_arrays(path)
    if problem := _problem(read, classes):
        raise ValueError(f"{path} is damaged: {problem}")
    return Predictions(**{**read, "step": int(read["step"])})


def _problem(read: dict[str, np.ndarray], classes: int) -> str:
    """The reason why arrays are not valid predictions for so many classes, or ""."""
    dimensions = {field.name: 1 for field in fields(Predictions)} | {"step": 0, "images": 4}
    if {name: array.ndim for name, array in read.items()} != dimensions:
        return "its arrays are not those of predictions"
    labels, predicted, mistakes = read["labels"], read["predicted"], read["mistakes"]
    if not len(labels) == len(predicted) == len(read["confidence"]):
        return "its arrays have different lengths"
    if len(mistakes) != len(read["images"]):
        return "it does not contain one image for each mistake"
    for array, end in ((labels, classes), (predicted, classes), (mistakes, len(labels))):
        if array.dtype.kind not in "iu" or (
            array.size and not 0 <= array.min() <= array.max() < end
        ):
            return "it contains numbers that are out of range"
    return ""
