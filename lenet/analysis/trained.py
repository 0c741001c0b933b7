"""Reads a trained run back: its options, its network, and the network's outputs for images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, load_dataset_for, with_validation
from lenet.networks.architectures import build_model
from lenet.networks.classifier import Classifier
from lenet.networks.inputs import images_at_once, to_float
from lenet.recording import checkpoints, runs


@dataclass(frozen=True)
class TrainedRun:
    """A run at its newest intact checkpoint.

    Attributes:
        path: the run's folder.
        config: the options of the run.
        dataset_name, class_names, image_shape, dataset_sha256: the properties of the images that the
            run was trained on.
        step: the number of updates when the checkpoint was saved.
        model: the network, with its trained weights.
        skipped: newer checkpoints that are damaged, each with the reason.
    """

    path: Path
    config: TrainConfig
    dataset_name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    dataset_sha256: str
    step: int
    model: Classifier
    skipped: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The data set, the activation and the optimizer, in a few words."""
        return f"{self.dataset_name}, {self.config.activation} + {self.config.optimizer}"

    def load_dataset(self, data_dir: Path | str | None = None) -> Dataset:
        """Loads the images that the run was trained on.

        Args:
            data_dir: their folder, if it is not the original one.

        Raises:
            FileNotFoundError: they are not there.
            ValueError: the folder contains different or damaged images.
        """
        try:
            dataset = load_dataset_for(self.config, data_dir)
        except ValueError as error:
            raise ValueError(f"The images of {self.path} cannot be loaded: {error}") from error
        if dataset.sha256 != self.dataset_sha256:
            raise ValueError(
                f"{self.path} was trained on different images ({self.dataset_name}), not on these "
                f"({dataset.name}). Give the folder of the original images with --data-dir."
            )
        return with_validation(dataset, self.config.validation_fraction or 0.0)


def load_run(path: Path | str) -> TrainedRun:
    """Reads a run and restores its network.

    Raises:
        FileNotFoundError: the folder contains no run.
        RunError: the run has no intact checkpoint.
        ValueError: its config.json is damaged.
    """
    path = Path(path)
    config, dataset = runs.read_config(path)
    checkpoint = checkpoints.best_or_newest(path / runs.CHECKPOINTS)
    if checkpoint is None:
        raise runs.RunError(
            f"{path} has no checkpoint yet. Let it train to the end of an epoch, or resume it with "
            f"--resume {path}."
        )
    height, width, channels = dataset["image_shape"]
    class_names = tuple(dataset["class_names"])
    mean = dataset.get("mean")
    model = build_model(config, (height, width, channels), len(class_names), mean)
    checkpoints.restore(checkpoint, model)
    return TrainedRun(
        path,
        config,
        dataset["name"],
        class_names,
        (height, width, channels),
        dataset["sha256"],
        checkpoint.step,
        model,
        checkpoint.skipped,
    )


def predict(model: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs a network on images, in batches that fit into memory.

    Args:
        images: uint8 [n, height, width, channels].

    Returns:
        logits float32 [n, classes] and features float32 [n, d].
    """
    parts = [model(batch) for batch in _batches(images)]
    logits, features = zip(*parts, strict=True)
    return np.concatenate(logits), np.concatenate(features)


def layer_outputs(model: Classifier, images: np.ndarray, layer: str) -> np.ndarray:
    """The output of one layer, after its activation, for many images.

    Args:
        images: uint8 [n, height, width, channels].
        layer: a name from `model.activations`.

    Returns:
        float32 [n, …].

    Raises:
        ValueError: the network has no such layer.
    """
    names = [each.name for each in model.stacked if not isinstance(each, keras.layers.Flatten)]
    if layer not in names:
        raise ValueError(f"Expected layer to be one of {', '.join(names)}. Received: {layer!r}")
    return np.concatenate([model.activations(batch)[layer] for batch in _batches(images)])


def _batches(images: np.ndarray) -> Iterator[tf.Tensor]:
    size = images_at_once(images)
    return (to_float(images[i : i + size]) for i in range(0, len(images), size))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities from logits, along the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
