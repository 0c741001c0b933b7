"""How well a layer separates classes, compared with formulas written out in NumPy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lenet import load_dataset
from lenet.analysis import embeddings
from lenet.analysis.trained import layer_outputs

if TYPE_CHECKING:
    from lenet.training.trainer import Trainer


def clusters(count: int, dimensions: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Points around three corners, the farther apart, the clearer; float32 [n, d], int [n]."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % 3)
    corners = apart * np.eye(3, dimensions)
    return (corners[labels] + rng.normal(size=(count, dimensions))).astype(np.float32), labels


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=-1)


def knn_accuracy(points: np.ndarray, labels: np.ndarray, neighbours: int) -> float:
    """Each point gets the class of most of its nearest neighbours; ties go to the lower class."""
    right = 0
    for place, row in enumerate(distances(points)):
        others = [index for index in np.argsort(row) if index != place][:neighbours]
        votes = Counter(labels[others].tolist())
        right += min(votes, key=lambda label: (-votes[label], label)) == labels[place]
    return right / len(points)


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """The mean of (b - a) / max(a, b): a is the distance to the own class, b to the nearest other."""
    scores = []
    for place, row in enumerate(distances(points)):
        own = (labels == labels[place]) & (np.arange(len(points)) != place)
        others = [row[labels == c].mean() for c in set(labels.tolist()) - {labels[place]}]
        a, b = row[own].mean() if own.any() else np.nan, min(others)
        scores.append((b - a) / max(a, b) if own.any() else 0.0)
    return float(np.mean(scores))


class TestSeparation:
    """Two numbers about a layer."""

    @pytest.mark.parametrize("apart", [0.0, 1.5, 4.0])
    @pytest.mark.parametrize("count", [4, 8, 60])
    def test_both_numbers_agree_with_their_formulas(self, count: int, apart: float) -> None:
        points, labels = clusters(count, 5, apart)
        found = embeddings.separation(points, labels)
        expected = knn_accuracy(points, labels, min(10, count - 1))
        assert found.knn_accuracy == pytest.approx(expected, abs=1e-9)
        assert found.silhouette == pytest.approx(silhouette(points, labels), abs=1e-5)

    def test_they_distinguish_clear_classes_from_mixed_ones(self) -> None:
        muddle, clear = (embeddings.separation(*clusters(60, 5, apart)) for apart in (0.0, 20.0))
        assert clear.knn_accuracy == 1.0
        assert clear.silhouette > 0.8
        assert muddle.knn_accuracy < 0.6
        assert abs(muddle.silhouette) < 0.1

    def test_a_class_without_images_does_no_harm(self) -> None:
        points, labels = clusters(30, 5, 8.0)
        with_gap = embeddings.separation(points, labels * 3)
        assert with_gap == embeddings.separation(points, labels)

    def test_a_layer_with_one_output_for_all_images_is_no_better_than_guessing(self) -> None:
        found = embeddings.separation(np.ones((30, 4), np.float32), np.arange(30) % 3)
        assert found.silhouette == 0.0
        assert found.knn_accuracy <= 0.4


class TestPca:
    """The plane in which the outputs vary most."""

    def test_it_agrees_with_the_singular_values(self) -> None:
        points, _ = clusters(40, 6, 5.0)
        found, shares = embeddings.pca(points)
        centred = points.astype(np.float64) - points.mean(0)
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        expected = left[:, :2] * values[:2]
        signs = np.sign((found * expected).sum(0))
        np.testing.assert_allclose(found * signs, expected, atol=1e-3)
        np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:2], rtol=1e-4)

    def test_it_is_always_the_same(self) -> None:
        points, _ = clusters(40, 600, 5.0)  # So wide that scikit-learn would draw at random.
        np.testing.assert_array_equal(embeddings.pca(points)[0], embeddings.pca(points)[0])


class TestTsne:
    """t-SNE with the settings chosen for it."""

    def test_it_keeps_clear_classes_apart_the_same_way_each_time(self) -> None:
        points, labels = clusters(60, 60, 30.0)
        found = embeddings.tsne(points)
        assert found.shape == (60, 2)
        assert np.isfinite(found).all()
        assert knn_accuracy(found, labels, 10) == 1.0
        np.testing.assert_array_equal(found, embeddings.tsne(points))

    @pytest.mark.parametrize("count", [3, 10, 50])
    def test_few_images_are_enough(self, count: int) -> None:
        points, _ = clusters(count, 5, 3.0)
        found = embeddings.tsne(points)
        assert found.shape == (count, 2)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_a_dead_layer_is_one_point(value: float) -> None:
    """scikit-learn's t-SNE would crash the process."""
    outputs = np.full((60, 84), value, np.float32)
    points, shares = embeddings.pca(outputs)
    np.testing.assert_array_equal(points, np.zeros((60, 2)))
    np.testing.assert_array_equal(shares, np.zeros(2))
    np.testing.assert_array_equal(embeddings.tsne(outputs), np.zeros((60, 2)))


def test_maps_are_laid_out_in_one_row_per_image() -> None:
    maps = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)
    found = embeddings.flatten(maps)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(120).reshape(2, 60))


@pytest.mark.slow
def test_deeper_layers_of_a_trained_network_keep_classes_further_apart(
    fit: Callable[..., Trainer], mnist_folder: Path
) -> None:
    dataset = load_dataset("mnist", mnist_folder)
    model = fit(dataset, epochs=2, batch_size=100).model
    images, labels = dataset.test.images[:2000], dataset.test.labels[:2000]
    found = {
        layer: embeddings.separation(
            embeddings.flatten(layer_outputs(model, images, passed_on)), labels
        )
        for layer, passed_on in model.shown_layers().items()
    }
    assert list(found) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert found["fc2"].knn_accuracy > found["conv1"].knn_accuracy + 0.02
    silhouettes = [numbers.silhouette for numbers in found.values()]
    assert silhouettes == sorted(silhouettes)
