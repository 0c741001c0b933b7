"""Points in a plane: what PCA and t-SNE make of a layer's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from lenet.figures.style import CLASS_COLORS, WIDTH, new_axes, without_ticks

if TYPE_CHECKING:  # A figure takes the numbers; it does not compute them.
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
    """Points coloured by class, each class named at its median.

    Args:
        points: float [n, 2].
        labels: int [n].
        wrong: bool [n]: points to ring in black, the misclassified ones.
        thumbnails: uint8 [n, height, width, channels], drawn at the points of `shown`.
        shown: indices into the points.
        axis_names: what the two directions are; without them the axes have no ticks, since
            t-SNE's have no unit.
        size: of the points, in square typographic points.
        name_size: of the class names, in typographic points.
    """
    ax = new_axes(ax, width=10.0, height=9.0)
    for place, name in enumerate(class_names):
        of_class = points[labels == place]
        if len(of_class):
            color = CLASS_COLORS[place % len(CLASS_COLORS)]
            ax.scatter(*of_class.T, s=size, color=color, alpha=0.6, linewidths=0, label=name)
    if wrong is not None and wrong.any():
        ax.scatter(
            *points[wrong].T, s=size * 5, facecolors="none", edgecolors="black", linewidths=0.9,
            label="misclassified",
        )  # fmt: skip
    for index in shown:
        assert thumbnails is not None
        _thumbnail(ax, points[index], thumbnails[index], bool(wrong is not None and wrong[index]))
    for place, name in enumerate(class_names):
        of_class = points[labels == place]
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
    ax.set_title(title)
    return ax


def _thumbnail(ax: Axes, point: np.ndarray, picture: np.ndarray, wrong: bool) -> None:
    shown = 255 - picture[..., 0] if picture.shape[-1] == 1 else picture
    box = AnnotationBbox(
        OffsetImage(shown, zoom=26 / picture.shape[0], cmap="gray"),
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
    numbers: Mapping[str, Separation],
    labels: np.ndarray,
    class_names: Sequence[str],
    methods: Mapping[str, str],
    title: str = "",
) -> Figure:
    """Every layer, a column each, by every method, a row each.

    Args:
        planes: by method and layer: points float [n, 2].
        numbers: by layer: how well it separates.
        methods: the methods' names as people write them.
    """
    layers = list(dict.fromkeys(layer for _, layer in planes))
    figure = Figure(figsize=(WIDTH, 1.0 + 2.6 * len(methods)), layout="constrained")
    figure.suptitle(title)
    for place, ((method, layer), points) in enumerate(planes.items()):
        ax = figure.add_subplot(len(methods), len(layers), place + 1)
        scatter(points, labels, class_names, ax, size=1.5, name_size=9)
        if place < len(layers):
            ax.set_title(
                f"{layer}\nneighbours {100 * numbers[layer].knn_accuracy:.1f} %\n"
                f"silhouette {numbers[layer].silhouette:.2f}",
                fontsize=10,
            )
        if place % len(layers) == 0:
            ax.set_ylabel(methods[method], fontsize=12)
    return figure
