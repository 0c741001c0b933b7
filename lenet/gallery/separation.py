"""Figures of how well the layers separate the classes: PCA, t-SNE and two numbers per layer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from lenet.analysis import embeddings
from lenet.analysis.embeddings import Separation
from lenet.figures import scatter, style
from lenet.gallery.captioned import CaptionedFigure

if TYPE_CHECKING:
    from lenet.gallery.run_data import RunData

FEW_SAMPLES = 500
METHODS = {"pca": "PCA", "tsne": "t-SNE"}
NUM_THUMBNAILS = 8


@dataclass(frozen=True)
class Plane:
    """One layer's outputs as points in a plane.

    Attributes:
        layer, method: the layer's name, and a key of METHODS.
        points: float32 [n, 2].
        units: the number of outputs of the layer.
        axis_names: the names of the two axes; None if the directions have no meaning.
    """

    layer: str
    method: str
    points: np.ndarray
    units: int
    axis_names: tuple[str, str] | None = None


def embedded_layers(data: RunData) -> Iterator[CaptionedFigure]:
    """An overview of all layers, then one figure for each layer and method."""
    test = data.dataset.test
    count = min(data.samples, len(test))
    # Evenly spread, because a test set may be sorted by class.
    chosen = np.arange(count) * len(test) // count
    labels = test.labels[chosen]
    if not 2 <= len(np.unique(labels)) < count:
        data.warn(f"no embeddings, because {count} test images are too few, or all of one class")
        return
    outputs = {
        layer: embeddings.flatten(values)
        for layer, values in data.shown_outputs(test.images[chosen]).items()
    }
    planes, separations = _reduced(outputs, labels)
    points = {(plane.method, plane.layer): plane.points for plane in planes}
    title = f"Layer by layer: {data.run.title}"
    yield CaptionedFigure(
        "embeddings",
        scatter.overview(points, separations, labels, data.class_names, METHODS, title),
        _separation_sentences(separations),
    )
    for plane in planes:
        yield _plane_figure(data, plane, separations[plane.layer], chosen)


def _reduced(
    outputs: dict[str, np.ndarray], labels: np.ndarray
) -> tuple[list[Plane], dict[str, Separation]]:
    """The PCA of every layer, then the t-SNE of every layer; and the separation in each layer."""
    # With few images, starting processes takes longer than the t-SNE itself.
    pool = (
        ThreadPoolExecutor(os.cpu_count())
        if len(labels) < FEW_SAMPLES
        else ProcessPoolExecutor(os.cpu_count(), get_context("spawn"))
    )
    with pool:
        futures = {layer: pool.submit(embeddings.tsne, rows) for layer, rows in outputs.items()}
        separations = {
            layer: embeddings.separation(rows, labels) for layer, rows in outputs.items()
        }
        planes = [_pca_plane(layer, rows) for layer, rows in outputs.items()]
        planes += [
            Plane(layer, "tsne", future.result(), outputs[layer].shape[1])
            for layer, future in futures.items()
        ]
    return planes, separations


def _pca_plane(layer: str, outputs: np.ndarray) -> Plane:
    points, shares = embeddings.pca(outputs)
    first, second = (
        f"principal component {number} ({100 * share:.0f} % of the variance)"
        for number, share in enumerate(shares, 1)
    )
    return Plane(layer, "pca", points, outputs.shape[1], (first, second))


def _plane_figure(
    data: RunData, plane: Plane, separation: Separation, chosen: np.ndarray
) -> CaptionedFigure:
    labels = data.dataset.test.labels[chosen]
    wrong = data.predicted[chosen] != labels
    ax = scatter.scatter(
        plane.points,
        labels,
        data.class_names,
        title=f"{plane.layer} by {METHODS[plane.method]}, {len(labels):,} test images of "
        f"{data.run.title}\n{embeddings.NEIGHBOURS}-nearest-neighbour accuracy "
        f"{100 * separation.knn_accuracy:.1f} %, silhouette {separation.silhouette:.2f}, "
        f"both computed from all {plane.units:,} outputs",
        wrong=wrong,
        thumbnails=data.dataset.test.images[chosen],
        shown=np.flatnonzero(wrong)[:NUM_THUMBNAILS].tolist(),
        axis_names=plane.axis_names,
        size=min(25.0, 30_000 / len(labels)),
    )
    return CaptionedFigure(
        f"embedding_{plane.layer}_{plane.method}",
        style.figure_of(ax),
        "Each point is a test image; its colour is the true class. Misclassified images have a "
        "black ring, and some of them are shown.",
    )


def _separation_sentences(separations: dict[str, Separation]) -> str:
    (first, start), *_, (last, end) = separations.items()
    return (
        f"Do deeper layers keep the classes further apart? From {first} to {last}, the "
        f"nearest-neighbour accuracy goes from {100 * start.knn_accuracy:.1f} % to "
        f"{100 * end.knn_accuracy:.1f} %, and the silhouette from {start.silhouette:.2f} to "
        f"{end.silhouette:.2f}. In a t-SNE figure, the distance between two clusters that are far "
        "apart has no meaning."
    )
