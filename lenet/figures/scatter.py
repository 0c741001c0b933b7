"""Points in a plane: the outputs of a layer by PCA or t-SNE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from lenet.figures.style import CLASS_COLORS, WIDTH, new_axes, set_title, without_ticks

if TYPE_CHECKING:  # Figures receive these numbers; they do not compute them.
    from lenet.analysis.embeddings import Separation

OUTLINE = (patheffects.withStroke(linewidth=4, foreground="white"),)


def scatter(
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    ax: Axes | None = None,
    *,
    title: str = "",
    wrong: np.ndarray | None = None,
    thumbnails: np.ndarray | None = None,
    shown: Sequence[int] = (),
    axis_names: tuple[str, str] | None = None,
    size: float = 6.0,
    name_size: float = 16.0,
) -> Axes:
    """Points coloured by class, with the name of each class at its median.

    Args:
        points: float [n, 2].
        labels: int [n].
        wrong: bool [n], true for misclassified points, which get a black ring.
        thumbnails: uint8 [n, height, width, channels], the images.
        shown: the indices of the points to draw with their images.
        axis_names: the names of the two axes. Without names the axes have no ticks, because the
            directions of t-SNE have no meaning.
        size: the area of a point, in square typographic points.
        name_size: the font size of the class names, in typographic points.
    """
    ax = new_axes(ax, width=10.0, height=9.0)
    for label, name in enumerate(class_names):
        of_class = points[labels == label]
        if len(of_class):
            color = CLASS_COLORS[label % len(CLASS_COLORS)]
            ax.scatter(*of_class.T, s=size, color=color, alpha=0.6, linewidths=0, label=name)
    if wrong is not None and wrong.any():
        ax.scatter(
            *points[wrong].T, s=size * 5, facecolors="none", edgecolors="black", linewidths=0.9,
            label="misclassified",
        )  # fmt: skip
    for index in shown:
        assert thumbnails is not None
        _thumbnail(ax, points[index], thumbnails[index], bool(wrong is not None and wrong[index]))
    for label, name in enumerate(class_names):
        of_class = points[labels == label]
        if len(of_class):
            x, y = np.median(of_class, axis=0)
            text = ax.text(
                x, y, name, ha="center", va="center", fontsize=name_size, fontweight="bold"
            )
            text.set_path_effects(list(OUTLINE))
            text.set_zorder(10)
    if axis_names is None:
        without_ticks(ax)
    else:
        ax.set_xlabel(axis_names[0])
        ax.set_ylabel(axis_names[1])
    set_title(ax, title)
    return ax


def _thumbnail(ax: Axes, point: np.ndarray, image: np.ndarray, wrong: bool) -> None:
    shown = 255 - image[..., 0] if image.shape[-1] == 1 else image
    box = AnnotationBbox(
        OffsetImage(shown, zoom=26 / image.shape[0], cmap="gray"),
        (float(point[0]), float(point[1])),
        xybox=(22, 22),
        boxcoords="offset points",
        pad=0.1,
        arrowprops={"arrowstyle": "-", "linewidth": 0.6},
        bboxprops={"edgecolor": "black" if wrong else "lightgray", "linewidth": 1.0},
    )
    box.set_zorder(8)
    ax.add_artist(box)


def overview(
    planes: Mapping[tuple[str, str], np.ndarray],
    separations: Mapping[str, Separation],
    labels: np.ndarray,
    class_names: Sequence[str],
    methods: Mapping[str, str],
    title: str = "",
) -> Figure:
    """A column for each layer, a row for each method.

    Args:
        planes: points by method and layer, float [n, 2].
        separations: by layer, how well it separates the classes.
        methods: the names of the methods in the figure, by their keys in `planes`.
    """
    layers = list(dict.fromkeys(layer for _, layer in planes))
    figure = Figure(figsize=(WIDTH, 1.0 + 2.6 * len(methods)), layout="constrained")
    figure.suptitle(title)
    for index, ((method, layer), points) in enumerate(planes.items()):
        ax = figure.add_subplot(len(methods), len(layers), index + 1)
        scatter(points, labels, class_names, ax, size=1.5, name_size=9)
        if index < len(layers):
            ax.set_title(
                f"{layer}\nneighbours {100 * separations[layer].knn_accuracy:.1f} %\n"
                f"silhouette {separations[layer].silhouette:.2f}",
                fontsize=10,
            )
        if index % len(layers) == 0:
            ax.set_ylabel(methods[method], fontsize=12)
    return figure
