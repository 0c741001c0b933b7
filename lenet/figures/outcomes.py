"""What a network gets right and wrong: the confusion matrix and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from lenet.figures.activity import image
from lenet.figures.style import PERCEPTUAL, WIDTH, colour_bar, new_axes, set_title


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class (row) was predicted as each class (column), int64 [classes, classes]."""
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_matrix(
    counts: np.ndarray, class_names: Sequence[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """How often images of each class were predicted as each class.

    Args:
        counts: int [classes, classes], rows the true, columns the predicted class.
    """
    ax = new_axes(ax, width=9.0, height=8.0)
    # On a linear scale the diagonal would hide every mistake.
    shown = np.ma.masked_equal(counts, 0)
    drawn = ax.imshow(shown, cmap=PERCEPTUAL, norm=LogNorm(1, max(2, counts.max())))
    colour_bar(drawn, ax, "test images (logarithmic)")
    positions = range(len(class_names))
    ax.set_xticks(positions, class_names, rotation=90 if max(map(len, class_names)) > 2 else 0)
    ax.set_yticks(positions, class_names)
    if len(class_names) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if count < counts.max() ** 0.6 else "black"
                ax.text(
                    column, row, f"{count:,}", ha="center", va="center", color=color, fontsize=9
                )
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    set_title(ax, title)
    return ax


def mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    count: int = 24,
    title: str = "",
) -> Figure:
    """The wrong answers with the highest probability, in descending order.

    Args:
        images: uint8 [n, height, width, channels].
        labels: int [n].
        probabilities: float [n, classes].
        count: the maximum number to show.
    """
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:count]
    columns = 8
    rows = max(1, -(-len(wrong) // columns))
    figure = Figure(figsize=(WIDTH, 0.7 + 1.95 * rows), layout="constrained")
    figure.suptitle(title)
    for position, index in enumerate(wrong):
        guess, truth = int(predicted[index]), int(labels[index])
        image(
            images[index],
            figure.add_subplot(rows, columns, position + 1),
            f"says {class_names[guess]} ({100 * probabilities[index, guess]:.0f} %)\n"
            f"is {class_names[truth]} ({100 * probabilities[index, truth]:.0f} %)",
        ).title.set_fontsize(9)
    if not len(wrong):
        figure.text(0.5, 0.4, "no mistakes", ha="center")
    return figure
