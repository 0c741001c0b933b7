"""The data behind the figures of one run: network, test images and recorded inspections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lenet.analysis import attribution, units
from lenet.analysis.trained import TrainedRun, layer_outputs, predict, softmax
from lenet.data.datasets import Dataset
from lenet.figures import style
from lenet.gallery import diagram
from lenet.networks.inputs import to_float
from lenet.recording import inspections, runs


@dataclass
class RunData:
    """A trained run with its images. Each array is computed when it is first used.

    Only this class and `diagram` need TensorFlow. The drawing functions use the arrays from here.

    Args:
        run: the trained run.
        dataset: its images.
        samples: the maximum number of test images in the embeddings.
        colormap: the colours of the lower row of the feature layer's maps.
        sort_units: whether the units in the feature layer's maps are sorted by class.
        warn: called with each message for the user.
    """

    run: TrainedRun
    dataset: Dataset
    samples: int = 5_000
    colormap: str = style.PERCEPTUAL
    sort_units: bool = False
    warn: Callable[[str], None] = print

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names for figures, with dollar signs escaped because they start a formula."""
        return tuple(name.replace("$", r"\$") for name in self.run.class_names)

    @property
    def feature_layer(self) -> str:
        """The name of the layer before the logits, e.g. "fc2"."""
        return self.run.model.feature_layer

    @cached_property
    def kernels(self) -> Mapping[str, np.ndarray]:
        """The kernel of every layer with weights, by layer, in order.

        Returns:
            float32 [height, width, inputs, outputs] for a convolution, [inputs, outputs] for a
            fully connected layer.
        """
        layers = self.run.model.weight_layers
        return {name: np.asarray(layer.kernel) for name, layer in layers.items()}

    @property
    def convolutions(self) -> tuple[str, ...]:
        """The names of the convolutions, in order; a fully connected network has none."""
        return tuple(name for name, kernel in self.kernels.items() if kernel.ndim == 4)

    @property
    def pixel_layer(self) -> str | None:
        """The first layer if it is fully connected: each unit then has one weight per pixel."""
        name, kernel = next(iter(self.kernels.items()))
        return name if kernel.ndim == 2 else None

    def as_images(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel of `pixel_layer` in the shape of the images.

        Args:
            kernel: float [height * width * channels, units].

        Returns:
            float [height, width, channels, units].
        """
        return kernel.reshape(*self.run.image_shape, -1)

    @cached_property
    def outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits float32 [n, classes] and features float32 [n, d] of all test images."""
        return predict(self.run.model, self.dataset.test.images)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of every test image, int64 [n]."""
        return self.outputs[0].argmax(1)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of every class for every test image, float32 [n, classes]."""
        return softmax(self.outputs[0])

    @property
    def accuracy(self) -> float:
        """The share of test images that the network classifies correctly, from 0 to 1."""
        return float(np.mean(self.predicted == self.dataset.test.labels))

    def feature_maps(
        self, image: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The output of every convolution for one image, before and after its activation.

        Args:
            image: uint8 [height, width, channels].

        Returns:
            The outputs before, and those after, by convolution: float32 [height, width, channels].
        """
        after, before = self.run.model.forward(to_float(image[None]))
        return (
            {name: np.asarray(before[name])[0] for name in self.convolutions},
            {name: np.asarray(after[name])[0] for name in self.convolutions},
        )

    def shown_outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The output of every layer with weights, after its activation and its pooling.

        Args:
            images: uint8 [n, height, width, channels].

        Returns:
            The outputs by layer, in order: float32 [n, …].
        """
        model = self.run.model
        return {
            name: layer_outputs(model, images, source)
            for name, source in model.shown_layers().items()
        }

    @property
    def hidden_layers(self) -> list[str]:
        """The layers with weights except the last, in order."""
        return [name for name in self.kernels if name != self.run.model.logits_layer]

    def top_images(self, layer: str, limit: int) -> units.TopImages:
        """The nine test images that excite each of the first `limit` units of a layer most."""
        top = units.top_images(self.run.model, self.dataset.test.images, layer)
        return units.TopImages(
            top.indices[:limit], top.values[:limit], top.corners[:limit], top.patch
        )

    def maximized(self, layer: str, limit: int) -> np.ndarray:
        """For each of the first `limit` units of a layer, an image computed to excite it.

        Returns:
            float32 [units, height, width, channels], from 0 to 1.
        """
        number = min(limit, self.kernels[layer].shape[-1])
        return units.maximize(self.run.model, layer, np.arange(number), self.run.image_shape)

    def maximized_over_time(self) -> dict[int, np.ndarray]:
        """The images of `maximized` for the classes, at some inspections, by step.

        It is empty if the inspections do not contain all kernels.
        """
        steps = list(self.recorded)
        chosen = (
            np.unique(np.linspace(0, len(steps) - 1, units.MOMENTS).astype(int)) if steps else []
        )
        found = {}
        for step in (steps[index] for index in chosen):
            if any(f"{name}/kernel" not in self.recorded[step] for name in self.kernels):
                return {}
            with units.recorded_weights(self.run.model, self.recorded[step]):
                found[step] = self.maximized(self.run.model.logits_layer, len(self.class_names))
        return found

    @property
    def ascent(self) -> str:
        """How `maximized` changes an image, in words."""
        return (
            f"{units.STEPS} steps follow the gradient, each with a random shift of up to "
            f"{units.JITTER} pixel and {100 * units.DECAY:g} % less contrast"
        )

    def attributions(self, position: int) -> list[attribution.Attribution]:
        """Which pixels of a test image the predicted class depends on, by several methods."""
        image = self.dataset.test.images[position]
        return attribution.attribute(self.run.model, image, int(self.predicted[position]))

    @cached_property
    def recorded(self) -> dict[int, dict[str, np.ndarray]]:
        """What the run's inspections recorded, by step, up to the checkpoint shown."""
        everything = inspections.load_all(self.run.path / runs.INSPECTIONS, self.warn)
        return {step: arrays for step, arrays in everything.items() if step <= self.run.step}

    def diagram(self) -> bytes | None:
        """The diagram of the network as a PNG. If it cannot be drawn, warns and returns None."""
        try:
            return diagram.draw(self.run.model, self.run.image_shape)
        except diagram.DiagramUnavailable as problem:
            self.warn(str(problem))
            return None
