"""The options of the benchmark, which all parts receive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.bench.settings import Settings
from lenet.data import downloads
from lenet.data.datasets import load_dataset

QUICK_IMAGES = 6_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that the user chose.

    Attributes:
        quick: a rough result with fewer contestants, rounds and images.
        rounds: the number of rounds after the warm-up; None: the default of each part.
        model, image_size, data_dir: as in `lenet.train`.
        batch_sizes, activations: the values with which the part `train` is measured.
    """

    quick: bool = False
    rounds: int | None = None
    model: str = "lenet"
    image_size: int | None = None
    data_dir: Path | None = None
    batch_sizes: tuple[int, ...]
    activations: tuple[str, ...]

    def rounds_of(self, usual: int, quick: int = 1) -> int:
        """The number of rounds of a part, without the warm-up."""
        return self.rounds or (quick if self.quick else usual)

    def settings(self, **values: Any) -> Settings:
        """Settings for contestants: the shared options and the given values."""
        shared = {
            "model": self.model,
            "image_size": self.image_size,
            "data_dir": str(self.data_dir.resolve()) if self.data_dir else None,
            "at_most": QUICK_IMAGES if self.quick else None,
        }
        return Settings(**shared | values)

    def mnist_folder(self) -> Path:
        """The folder with MNIST's four IDX files, for programs that read them themselves.

        Raises:
            FileNotFoundError, ValueError: there is no such folder.
        """
        if self.data_dir is None:
            load_dataset("mnist")  # Downloads it if necessary.
            return downloads.cache_folder() / "mnist"
        if not list(self.data_dir.glob("train-images-idx3-ubyte*")):
            raise ValueError(
                "Expected --data-dir to be a folder with MNIST's four IDX files, which the parts "
                f"job and target need. Received: {self.data_dir}"
            )
        return self.data_dir

    def data_arguments(self) -> list[str]:
        """The options of `lenet.train` that choose the images."""
        return ["--data-dir", str(self.data_dir)] if self.data_dir else []
