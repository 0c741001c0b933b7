"""All figures of one trained run: reads what the run recorded, draws, and writes them to a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context

import numpy as np
from matplotlib.figure import Figure

from lenet.analysis import embeddings
from lenet.analysis.trained import TrainedRun, layer_outputs, predict, softmax
from lenet.data.datasets import Dataset
from lenet.diagnostics import DIAGNOSTICS
from lenet.figures import activity, animation, curves, outcomes, scatter, style, weights
from lenet.recording import events, inspections, runs

MAP_ROWS = 100
FEW_SAMPLES = 500
METHODS = {"pca": "PCA", "tsne": "t-SNE"}


@dataclass(frozen=True)
class Picture:
    """One file of the gallery.

    Attributes:
        name: without its ending, e.g. "kernels_conv1".
        content: a matplotlib figure, or the bytes of a file that is no figure.
        suffix: "" for a figure, which is saved in the format asked for; else e.g. ".gif".
        still: for an animation, its last frame as a PNG.
        caption: what a student should look for.
    """

    name: str
    content: Figure | bytes
    caption: str
    suffix: str = ""
    still: bytes = b""


@dataclass
class Gallery:
    """Draws a run's figures, one by one, as they are asked for.

    Args:
        run: the trained run.
        dataset: its images.
        samples: test images in the embeddings, at most.
        colormap: of the fc2 maps in colour.
        warn: called with what the user should know.
    """

    run: TrainedRun
    dataset: Dataset
    samples: int = 5_000
    colormap: str = style.PERCEPTUAL
    warn: Callable[[str], None] = print

    @cached_property
    def outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits and features of all test images."""
        return predict(self.run.model, self.dataset.test.images)

    @property
    def accuracy(self) -> float:
        """The share of test images the network gets right, from 0 to 1."""
        return float(np.mean(self.outputs[0].argmax(1) == self.dataset.test.labels))

    @cached_property
    def probabilities(self) -> np.ndarray:
        return softmax(self.outputs[0])

    @cached_property
    def recorded(self) -> dict[int, dict[str, np.ndarray]]:
        """What the run's inspections recorded, by step, up to the checkpoint shown."""
        found = inspections.load_all(self.run.path / runs.INSPECTIONS)
        return {step: arrays for step, arrays in found.items() if step <= self.run.step}

    @property
    def _names(self) -> tuple[str, ...]:
        """The class names as figures write them: a bare dollar sign would begin a formula."""
        return tuple(name.replace("$", r"\$") for name in self.run.class_names)

    @property
    def _features(self) -> str:
        return self.run.model.feature_layer

    @property
    def quick(self) -> tuple[str, ...]:
        """The groups that take a second or less each, which `lenet.train` draws at its end."""
        return ("learning_curves", "kernels", "feature_maps", f"{self._features}_maps")

    def groups(self) -> dict[str, Callable[[], Iterator[Picture]]]:
        """Every group of figures by name, in the order of the page; a group is drawn as a whole."""
        return {
            "architecture": self.architecture,
            "inputs": self.inputs,
            "learning_curves": self.learning_curves,
            "diagnostics": self.diagnostics,
            "kernels": self.kernels,
            "feature_maps": self.feature_maps,
            "fc_matrices": self.fc_matrices,
            f"{self._features}_maps": self.class_maps_together,
            f"{self._features}_map": self.class_maps,
            f"{self._features}_means": self.class_means,
            "confusion_matrix": self.confusion_matrix,
            "mistakes": self.mistakes,
            "evolution": self.evolution,
            "embeddings": self.embeddings,
        }

    def architecture(self) -> Iterator[Picture]:
        from lenet.gallery.diagram import DiagramUnavailable, draw

        try:
            png = draw(self.run.model, self.run.image_shape)
        except DiagramUnavailable as problem:
            self.warn(str(problem))
            return
        yield Picture(
            "architecture",
            png,
            "The network from the image at the top to the logits at the bottom. The shapes say how "
            "a picture becomes a short list of numbers: maps grow smaller and more numerous, then "
            "vectors grow shorter.",
            ".png",
        )

    def inputs(self) -> Iterator[Picture]:
        names = self._names
        split = self.dataset.test
        title = f"{self.run.dataset_name}: the first 50 test images and their classes"
        figure = activity.inputs(
            split.images[:50], [names[label] for label in split.labels[:50]], title=title
        )
        yield Picture(
            "inputs", figure, "What the network is given, exactly: this size, this sharpness."
        )

    def learning_curves(self) -> Iterator[Picture]:
        read = {split: events.read_scalars(self.run.path / split) for split in ("train", "test")}
        num_classes = len(self.run.class_names)
        title = f"Learning curves: {self.run.title}"
        yield Picture(
            "learning_curves",
            curves.learning_curves(read["train"], read["test"], num_classes, title),
            "Blue is each training batch, orange all test images. Both falling together: it "
            "learns. Blue falling while orange turns up: it has begun to learn the training images "
            "by heart. Both flat on the dotted line: it has not begun to learn.",
        )

    def diagnostics(self) -> Iterator[Picture]:
        kinds = {
            kind: {
                name: curve
                for name in self.run.model.weight_layers
                if (curve := self._recorded_curve(f"{name}/{kind}"))[0].size
            }
            for kind in DIAGNOSTICS
        }
        if not any(kinds.values()):
            self.warn("no diagnostics: the run recorded no inspections (--inspect-every 0)")
            return
        yield Picture(
            "diagnostics",
            curves.diagnostics(kinds, f"Layer by layer: {self.run.title}"),
            "A gradient norm that falls from the last layer to the first by powers of ten is a "
            "vanishing gradient. An update ratio near 1/1,000 is healthy. Dead units never answer; "
            "saturated ones hardly let a gradient through (for ReLU: every output at zero).",
        )

    def kernels(self) -> Iterator[Picture]:
        for name, layer in self.run.model.weight_layers.items():
            kernel = np.asarray(layer.kernel)
            if kernel.ndim != 4:
                continue
            title = f"{name} after step {self.run.step:,}"
            figure = style.figure_of(weights.kernels(kernel, title))
            yield Picture(
                f"kernels_{name}",
                figure,
                "Look for bars and edges: a kernel answers where the image looks like it. Kernels "
                "that still look like noise have learned little.",
            )
            if kernel.shape[2] > 1:
                figure = style.figure_of(weights.kernels_by_channel(kernel, title))
                yield Picture(
                    f"kernels_{name}_by_channel",
                    figure,
                    "Each column is one kernel, each row what it looks for in one map of the "
                    "layer below.",
                )

    def feature_maps(self) -> Iterator[Picture]:
        from lenet.networks.inputs import to_float

        image = self.dataset.test.images[:1]
        after, before = self.run.model.forward(to_float(image))
        convolutions = [name for name in before if len(before[name].shape) == 4]
        label = self._names[self.dataset.test.labels[0]]
        yield Picture(
            "feature_maps",
            activity.all_feature_maps(
                image[0],
                {name: np.asarray(before[name])[0] for name in convolutions},
                {name: np.asarray(after[name])[0] for name in convolutions},
                f"What each kernel makes of one test image, a {label}: {self.run.title}",
            ),
            "One map per kernel: bright where it found what it looks for. Left before the "
            "activation, right after it: see what the activation throws away.",
        )

    def fc_matrices(self) -> Iterator[Picture]:
        matrices = {
            name: np.asarray(layer.kernel)
            for name, layer in self.run.model.weight_layers.items()
            if layer.kernel.ndim == 2
        }
        figure = Figure(figsize=(style.WIDTH, 3.6 * len(matrices)), layout="constrained")
        for place, (name, kernel) in enumerate(matrices.items()):
            weights.matrix(kernel, name, figure.add_subplot(len(matrices), 1, place + 1))
        yield Picture(
            "fc_matrices",
            figure,
            "Every weight of the fully connected layers. A pale column is an input that hardly "
            "matters, a pale row an output that hardly listens.",
        )

    def class_maps_together(self) -> Iterator[Picture]:
        maps, layer = self.maps_by_class(), self._features
        rows = sorted({len(values) for values in maps})
        number = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
        shortfall = "" if rows[0] == MAP_ROWS else " (there are no more)"
        yield Picture(
            f"{layer}_maps",
            activity.feature_maps_of_classes(
                {n: m for n, m in zip(self._names, maps, strict=True) if len(m)},
                self.colormap,
                f"{layer}: {number} test images of each class{shortfall} × {maps[0].shape[1]} units "
                f"({self.run.title})",
            ),
            "A row is one image, a column one unit. Vertical stripes that differ from class to "
            "class are the code by which the last layer tells classes apart.",
        )

    def class_maps(self) -> Iterator[Picture]:
        layer = self._features
        for place, (name, values) in enumerate(
            zip(self.run.class_names, self.maps_by_class(), strict=True)
        ):
            if not len(values):
                self.warn(f"no {layer} map of class {name}: it has no test images")
                continue
            shortfall = "" if len(values) == MAP_ROWS else ", all there are"
            ax = activity.feature_map_of_class(
                values,
                f"{layer} for class {self._names[place]}: {len(values)} test images{shortfall} × "
                f"{values.shape[1]} units\nblack is the least, white the greatest value",
            )
            yield Picture(
                f"{layer}_map_{place}",
                style.figure_of(ax),
                f"Class {name} alone, from its own least to its own greatest value.",
            )

    def maps_by_class(self) -> list[np.ndarray]:
        """The features of the first 100 test images of each class, or of as many as there are.

        Returns:
            One float32 [rows, d] per class.
        """
        features, labels = self.outputs[1], self.dataset.test.labels
        return [
            features[np.flatnonzero(labels == place)[:MAP_ROWS]]
            for place in range(len(self.run.class_names))
        ]

    def class_means(self) -> Iterator[Picture]:
        features, labels = self.outputs[1], self.dataset.test.labels
        present = [place for place in range(len(self.run.class_names)) if (labels == place).any()]
        means = np.stack([features[labels == place].mean(0) for place in present])
        names = [self._names[place] for place in present]
        yield Picture(
            f"{self._features}_means",
            activity.class_means(
                means, names, f"{self._features} class by class: {self.run.title}"
            ),
            "Classes whose means lie close together are those the network confuses.",
        )

    def confusion_matrix(self) -> Iterator[Picture]:
        labels, names = self.dataset.test.labels, self._names
        predicted = self.outputs[0].argmax(1)
        counts = outcomes.confusion_counts(labels, predicted, len(names))
        title = (
            f"{self.run.title}: {100 * np.mean(predicted == labels):.2f} % of {len(labels):,} "
            "test images right"
        )
        yield Picture(
            "confusion_matrix",
            style.figure_of(outcomes.confusion_matrix(counts, names, title=title)),
            "Right answers are on the diagonal. The scale is logarithmic, or they would hide "
            "everything else.",
        )

    def mistakes(self) -> Iterator[Picture]:
        test = self.dataset.test
        wrong = int(np.sum(self.outputs[0].argmax(1) != test.labels))
        yield Picture(
            "mistakes",
            outcomes.mistakes(
                test.images,
                test.labels,
                self.probabilities,
                self._names,
                title=f"The most confident of {wrong:,} mistakes among {len(test):,} test images",
            ),
            "Would you have known? Some are hard for people too, some labels are doubtful.",
        )

    def evolution(self) -> Iterator[Picture]:
        if len(self.recorded) < 2:
            self.warn("no animations: the run recorded fewer than two inspections")
            return
        stamps = self._stamps()
        for name, layer in self.run.model.weight_layers.items():
            if layer.kernel.ndim != 4:
                continue
            kinds = {
                "kernel_evolution": (
                    animation.kernel_frames([r[f"{name}/kernel"] for r in self.recorded.values()]),
                    f"{name}: its kernels through training",
                    "From random noise to detectors: most of it happens in the first steps.",
                ),
                "feature_map_evolution": (
                    animation.feature_map_frames(
                        [r[f"{name}/feature_maps"] for r in self.recorded.values()]
                    ),
                    f"{name}: what it makes of one test image, after the activation",
                    "The same test image all along: watch strokes and edges come out.",
                ),
            }
            for kind, (frames, title, caption) in kinds.items():
                yield Picture(
                    f"{kind}_{name}",
                    animation.gif(frames, stamps, title),
                    caption,
                    ".gif",
                    animation.still(frames[-1], stamps[-1], title),
                )

    def embeddings(self) -> Iterator[Picture]:
        """PCA and t-SNE of every layer, the t-SNE of two layers at a time in processes of their own."""
        test = self.dataset.test
        count = min(self.samples, len(test))
        # Evenly spread: a test set may be sorted by class.
        chosen = np.arange(count) * len(test) // count
        images, labels = test.images[chosen], test.labels[chosen]
        if not 2 <= len(np.unique(labels)) < count:
            self.warn(f"no embeddings: {count} test images hold too few images of a class")
            return
        wrong = self.outputs[0][chosen].argmax(1) != labels
        shown = np.flatnonzero(wrong)[:8]
        layers = self.run.model.shown_layers()
        outputs = {
            name: embeddings.flatten(layer_outputs(self.run.model, images, source))
            for name, source in layers.items()
        }
        # To start processes takes longer than few images do.
        pool = (
            ThreadPoolExecutor(os.cpu_count())
            if count < FEW_SAMPLES
            else ProcessPoolExecutor(os.cpu_count(), get_context("spawn"))
        )
        with pool:
            planes = {name: pool.submit(embeddings.tsne, rows) for name, rows in outputs.items()}
            yield from self._embedding_pictures(outputs, planes, images, labels, wrong, shown)

    def _embedding_pictures(
        self,
        outputs: dict[str, np.ndarray],
        planes: dict[str, Future[np.ndarray]],
        images: np.ndarray,
        labels: np.ndarray,
        wrong: np.ndarray,
        shown: np.ndarray,
    ) -> Iterator[Picture]:
        names = self._names
        numbers = {name: embeddings.separation(rows, labels) for name, rows in outputs.items()}
        reduced = {name: embeddings.pca(rows) for name, rows in outputs.items()}
        flat = {("pca", name): points for name, (points, _) in reduced.items()}
        flat |= {("tsne", name): plane.result() for name, plane in planes.items()}
        yield Picture(
            "embeddings",
            scatter.overview(
                flat, numbers, labels, names, METHODS, f"Layer by layer: {self.run.title}"
            ),
            self._separation_sentence(numbers),
        )
        for (method, name), points in flat.items():
            axis_names = None
            if method == "pca":
                first, second = 100 * reduced[name][1]
                axis_names = (
                    f"principal component 1 ({first:.0f} % of the variance)",
                    f"principal component 2 ({second:.0f} % of the variance)",
                )
            ax = scatter.scatter(
                points,
                labels,
                names,
                title=f"{name} by {METHODS[method]}, {len(labels):,} test images of "
                f"{self.run.title}\n{embeddings.NEIGHBOURS}-nearest-neighbour accuracy "
                f"{100 * numbers[name].knn_accuracy:.1f} %, silhouette "
                f"{numbers[name].silhouette:.2f}, both among its {outputs[name].shape[1]:,} outputs",
                wrong=wrong,
                thumbnails=images,
                shown=shown.tolist(),
                axis_names=axis_names,
                size=min(25.0, 30_000 / len(labels)),
            )
            yield Picture(
                f"embedding_{name}_{method}",
                style.figure_of(ax),
                "A point is a test image, its colour the true class; ringed points are "
                "misclassified, and some are shown.",
            )

    def _separation_sentence(self, numbers: dict[str, embeddings.Separation]) -> str:
        (first, start), *_, (last, end) = numbers.items()
        return (
            f"Do deeper layers keep the classes further apart? Measured: from {first} to {last} the "
            f"nearest-neighbour accuracy goes from {100 * start.knn_accuracy:.1f} % to "
            f"{100 * end.knn_accuracy:.1f} %, the silhouette from {start.silhouette:.2f} to "
            f"{end.silhouette:.2f}. Distances between far clusters of a t-SNE mean nothing."
        )

    def _recorded_curve(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        steps = [step for step, arrays in self.recorded.items() if key in arrays]
        values = [float(self.recorded[step][key]) for step in steps]
        return np.array(steps, np.int64), np.array(values, np.float64)

    def _stamps(self) -> list[str]:
        steps, accuracies = events.read_scalars(self.run.path / "test")["accuracy"]
        stamps = []
        for step in self.recorded:
            known = accuracies[np.searchsorted(steps, step, side="right") - 1]
            stamps.append(f"step {step:,}   test accuracy {100 * known:.1f} %")
        return stamps
