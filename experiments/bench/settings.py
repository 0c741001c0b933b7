"""The settings that all contestants of one comparison share: network, batches, images."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenet.config import TrainConfig
from lenet.data.datasets import Dataset, load_dataset_for
from lenet.data.splits import Split, fingerprint


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of all contestants that are compared with each other.

    Attributes:
        turns: the number of epochs that each contestant trains, including its warm-up.
        images: the number of training images; the first ones are used, and repeated if there are
            too few; None: all.
        at_most: the maximum number of training images if `images` is None; None: no limit.
        data_dir, image_size: as in `lenet.train`.
        seed: the seed for the initial weights and the order of the images.
    """

    model: str = "lenet"
    activation: str = "relu"
    batch_size: int = 128
    turns: int = 1
    images: int | None = None
    at_most: int | None = None
    data_dir: str | None = None
    image_size: int | None = None
    seed: int = 0

    def to_json(self) -> str:
        """The settings as one argument of a command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The inverse of `to_json`."""
        return cls(**json.loads(text))

    @property
    def words(self) -> str:
        """The settings that differ within one measurement, for a table."""
        return f"batch {self.batch_size}, {self.activation}"

    def config(self) -> TrainConfig:
        """The options of `lenet.train` that train with these settings.

        Raises:
            ValueError: an option has an invalid value.
        """
        return TrainConfig(
            model=self.model,  # pyright: ignore[reportArgumentType]
            activation=self.activation,  # pyright: ignore[reportArgumentType]
            batch_size=self.batch_size,
            epochs=self.turns,
            data_dir=Path(self.data_dir) if self.data_dir else None,
            image_size=self.image_size,
            seed=self.seed,
        )

    def dataset(self) -> Dataset:
        """The images to train on.

        Raises:
            FileNotFoundError, ValueError: see `load_dataset`.
        """
        dataset = load_dataset_for(self.config())
        available = len(dataset.train)
        size = self.images or min(available, self.at_most or available)
        if size == available:
            return dataset
        chosen = np.arange(size) % available
        train = Split(dataset.train.images[chosen], dataset.train.labels[chosen])
        sha256 = fingerprint(train, dataset.test)
        return dataclasses.replace(dataset, train=train, sha256=sha256)


def floats(dataset: Dataset, split: Split) -> np.ndarray:
    """Images for a network outside `lenet`: float32 [n, height, width, channels].

    They range from 0 to 1. If the network of `lenet` subtracts the mean of each channel, the mean
    is subtracted here too.
    """
    images = split.images.astype(np.float32) / 255
    return images if dataset.mean is None else images - np.array(dataset.mean, np.float32)
