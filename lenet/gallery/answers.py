"""Figures of the test images and the network's answers, right and wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lenet.figures import activity, outcomes, style
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData

NUM_INPUTS = 50


def inputs(data: RunData) -> Iterator[CaptionedFigure]:
    """The first test images."""
    test, names = data.dataset.test, data.class_names
    images = test.images[:NUM_INPUTS]
    labels = [names[label] for label in test.labels[:NUM_INPUTS]]
    title = f"{data.run.dataset_name}: the first {len(images)} test images and their classes"
    yield CaptionedFigure(
        "inputs",
        activity.inputs(images, labels, title=title),
        "This is exactly what the network receives, in this size and with this sharpness.",
    )


def confusion_matrix(data: RunData) -> Iterator[CaptionedFigure]:
    """How often images of each class were predicted as each class."""
    labels, names = data.dataset.test.labels, data.class_names
    counts = outcomes.confusion_counts(labels, data.predicted, len(names))
    title = f"{data.run.title}: {100 * data.accuracy:.2f} % of {len(labels):,} test images correct"
    yield CaptionedFigure(
        "confusion_matrix",
        style.figure_of(outcomes.confusion_matrix(counts, names, title=title)),
        "Correct answers are on the diagonal. The colour scale is logarithmic: on a linear scale "
        "the diagonal would hide everything else.",
    )


def mistakes(data: RunData) -> Iterator[CaptionedFigure]:
    """The wrong answers with the highest probability."""
    test = data.dataset.test
    wrong = int(np.sum(data.predicted != test.labels))
    title = f"The most confident of {wrong:,} mistakes on {len(test):,} test images"
    yield CaptionedFigure(
        "mistakes",
        outcomes.mistakes(
            test.images, test.labels, data.probabilities, data.class_names, title=title
        ),
        "Would you have known? Some of these are hard for people too. Some labels are doubtful.",
    )
