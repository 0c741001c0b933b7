"""Loads data sets into memory by name or from the user's files, checks them and names them.

`formats.py` reads files, `downloads.py` downloads them, and `digits.py` provides images that need
neither.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lenet.config import TrainConfig
from lenet.data import digits, downloads
from lenet.data.formats import read_images, refuse_options
from lenet.data.layouts import split_by_content
from lenet.data.reader import FolderOptions, RawImages, Reader
from lenet.data.splits import Split, channel_mean, check_pair, check_split, fingerprint
from lenet.registry import KNOWN_DATASETS

# For formats without class names. The readers of CIFAR-10 and the digits return their own names.
CLASS_NAMES = {
    "mnist": digits.CLASSES,
    "fashion_mnist": (
        "T-shirt", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
}  # fmt: skip
# The `fingerprint` of the original MNIST. No different images may have its name.
MNIST_SHA256 = "e01a2336dfa29a82d2f956a620da1be7d0b6fdfcadd0a9b2725ffcb8e1274d74"


@dataclass(frozen=True)
class Dataset:
    """Images in memory, ready to train on.

    Attributes:
        name: what the images are, e.g. "mnist", "digits", or a folder's name.
        class_names: one name per class, in the order of the labels.
        sha256: the `fingerprint` of all images and labels, in hexadecimal.
        note: a note for the user on where the images came from, or "".
        mean: the mean of the training images per channel, from 0 to 1, which the network
            subtracts; None if it subtracts nothing.
        origin: how files became images of this size, e.g. "cropped from 60×80", or "".
        test_is_fraction: whether the program chose the test images, as a fraction of a folder.
        validation: images to validate on, see `with_validation`, or None.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    sha256: str
    note: str = ""
    mean: tuple[float, ...] | None = None
    origin: str = ""
    test_is_fraction: bool = False
    validation: Split | None = None

    @property
    def training_images(self) -> int:
        """The number of training images before any were taken for validation."""
        return len(self.train) + (len(self.validation) if self.validation else 0)

    @property
    def in_words(self) -> str:
        """The numbers of images, their size and colours, and the number of classes."""
        height, width, channels = self.image_shape
        parts = [
            f"{len(self.train):,} training and {len(self.test):,} test images",
            f"{width}×{height}",
            "gray" if channels == 1 else "colour",
            *([self.origin] if self.origin else []),
            f"{len(self.class_names)} classes",
        ]
        return ", ".join(parts)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def description(self) -> dict[str, Any]:
        """What a run records about its images, as JSON values."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "train": len(self.train),
            "test": len(self.test),
            **({"validation": len(self.validation)} if self.validation else {}),
            "image_shape": list(self.image_shape),
            "origin": self.origin,
            "class_names": list(self.class_names),
            "mean": self.mean,
        }


def load_dataset_for(config: TrainConfig, data_dir: Path | str | None = None) -> Dataset:
    """Loads the images of a config, with all its options that affect them.

    Args:
        data_dir: the folder with the images, if it is not the one in the config.

    Raises:
        FileNotFoundError, ValueError: as `load_dataset`.
    """
    options = FolderOptions(**{f.name: getattr(config, f.name) for f in fields(FolderOptions)})
    return load_dataset(config.dataset, data_dir or config.data_dir, options=options)


def load_dataset(
    name: str = "auto",
    data_dir: Path | str | None = None,
    cache: Path | str | None = None,
    options: FolderOptions | None = None,
) -> Dataset:
    """Loads a data set into memory.

    Args:
        name: "auto", "mnist", "fashion_mnist", "digits" or "cifar10". "auto" uses the images
            in `data_dir`; without `data_dir`, MNIST from the cache or the network; if that
            fails, the bundled digits and a `note` about this.
        data_dir: images in one of the formats of `formats.READERS`.
        cache: the folder for downloads; default: `downloads.cache_folder()`.
        options: how a folder of image files becomes arrays.

    Returns:
        The images unchanged: uint8, neither scaled nor shuffled.

    Raises:
        FileNotFoundError: the files are missing; the message names the files and their folder.
        ValueError: the files are damaged or are not the data set `name`, or `options` are given
            without a folder of image files.
    """
    options = options or FolderOptions()
    if name not in ("auto", *KNOWN_DATASETS):
        raise ValueError(
            f"Expected dataset to be one of auto, {', '.join(KNOWN_DATASETS)}. "
            f"Received: dataset={name!r}"
        )
    if name == "digits":
        if data_dir is not None:
            raise ValueError(
                "Expected no data_dir with dataset='digits', which is part of scikit-learn. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        refuse_options(options, name)
        return _bundled_digits()
    if data_dir is not None:
        return _from_files(name, Path(data_dir), options)
    return _from_network(name, Path(cache or downloads.cache_folder()), options)


def with_validation(dataset: Dataset, fraction: float) -> Dataset:
    """A data set in which some of the training images are for validation.

    The choice depends only on the pixels of each image, as in `layouts.split_by_content`, so
    copies of an image stay together. The name and the sha256 do not change.

    Args:
        fraction: the average share of the training images, from 0 to less than 1.

    Raises:
        ValueError: no class has two different images.
    """
    if not fraction:
        return dataset
    images, labels = dataset.train.images, dataset.train.labels
    contents = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    classes_of: dict[str, set[str]] = defaultdict(set)
    for content, label in zip(contents, labels.tolist(), strict=True):
        classes_of[content].add(str(label))
    held_out = split_by_content(classes_of, fraction)
    chosen = np.array([content in held_out for content in contents], bool)
    if not chosen.any():
        raise ValueError(
            "Expected at least two different images of a class, to take one for validation. "
            f"Received: validation_fraction={fraction} with {len(labels)} training images"
        )
    train, validation = (Split(images[each], labels[each]) for each in (~chosen, chosen))
    mean = None if dataset.mean is None else channel_mean(train.images)
    return replace(dataset, train=train, validation=validation, mean=mean)


def hold_out(dataset: Dataset, fraction: float) -> Dataset:
    """A data set for choosing options: its test images are taken from the training images.

    The same fraction of each class is held out, and always the same images. The real test images
    are not used at all, so the choice of options is independent of them.

    Args:
        fraction: the share of the training images that is held out, between 0 and 1.

    Returns:
        A data set with a different name and sha256, so that its runs are never mixed with others.

    Raises:
        ValueError: the fraction leaves a class without images for training or validation.
    """
    labels, rng = dataset.train.labels, np.random.default_rng(0)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        count = round(fraction * len(of_class))
        if not 0 < count < len(of_class):
            raise ValueError(
                f"Expected a fraction that splits the {len(of_class)} training images of class "
                f"{dataset.class_names[label]} in two. Received: fraction={fraction}"
            )
        held_out[rng.permutation(of_class)[:count]] = True
    train, validation = (
        Split(dataset.train.images[chosen], labels[chosen]) for chosen in (~held_out, held_out)
    )
    return Dataset(
        f"{dataset.name}_validation",
        train,
        validation,
        dataset.class_names,
        fingerprint(train, validation),
        mean=None if dataset.mean is None else channel_mean(train.images),
    )


def _from_network(name: str, cache: Path, options: FolderOptions) -> Dataset:
    """Loads a data set from the cache, and downloads it first if it is not there."""
    wanted = "mnist" if name == "auto" else name
    refuse_options(options, wanted)
    folder = cache / wanted
    try:
        downloads.fetch(wanted, folder)
    except (OSError, ValueError) as error:
        if name != "auto":
            files = ", ".join(downloads.SHA256[wanted])
            raise FileNotFoundError(
                f"{wanted} is not on this computer and cannot be downloaded ({error}). Put {files} "
                f"into {folder}, or into any folder that you name with --data-dir."
            ) from error
        return _bundled_digits(
            "MNIST is not on this computer and cannot be downloaded, so the 1,797 small digits of "
            "scikit-learn are used instead. The results are not MNIST results. If you have the "
            "files of MNIST, name their folder with --data-dir."
        )
    return _from_files(wanted, folder, options)


def _from_files(name: str, path: Path, options: FolderOptions) -> Dataset:
    raw, reader = read_images(path, name, options)
    train, test = check_split(raw.train), check_split(raw.test)
    sha256 = fingerprint(train, test)
    if name == "mnist" and sha256 != MNIST_SHA256:
        raise ValueError(
            f"{path} does not contain MNIST: its images or labels differ from the original. "
            "To train on these images under their own name, use --dataset auto."
        )
    if name == "fashion_mnist" and sha256 == MNIST_SHA256:
        raise ValueError(f"{path} contains MNIST, not Fashion-MNIST. Use --dataset mnist.")
    note = ""
    if raw.name:
        name = raw.name
    elif name == "auto":
        name, note = _name_of(path, reader, sha256)
    return _dataset(name, raw, train, test, sha256, note)


def _bundled_digits(note: str = "") -> Dataset:
    raw = digits.bundled_digits()
    train, test = check_split(raw.train), check_split(raw.test)
    return _dataset(raw.name, raw, train, test, fingerprint(train, test), note)


def _dataset(
    name: str, raw: RawImages, train: Split, test: Split, sha256: str, note: str
) -> Dataset:
    """Adds the class names to checked splits, and the mean if it is subtracted."""
    class_names = raw.class_names or CLASS_NAMES.get(name)
    if class_names is None:
        class_names = tuple(str(label) for label in range(len(np.unique(train.labels))))
    check_pair(train, test, len(class_names))
    mean = channel_mean(train.images) if raw.subtract_mean else None
    note = f"{note} {raw.note}".strip()
    return Dataset(
        name, train, test, class_names, sha256, note, mean, raw.origin, raw.test_is_fraction
    )


def _name_of(path: Path, reader: Reader, sha256: str) -> tuple[str, str]:
    """The name of images read with "auto", and a note if it is not their folder's name."""
    if "mnist" in reader.datasets and sha256 == MNIST_SHA256:
        return "mnist", ""
    name = _slug((path.resolve() if path.is_dir() else path).stem)
    # Only MNIST's fingerprint is known, so files in Fashion-MNIST's format may have its name.
    may_be_fashion = name == "fashion_mnist" and name in reader.datasets
    if name not in KNOWN_DATASETS or may_be_fashion:
        return name, ""
    note = f"{path} does not contain the original {name}, so its name here is {name}_images."
    return f"{name}_images", note


def _slug(name: str) -> str:
    """A file's or folder's name with only the characters that a run's name may have."""
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name).strip("._") or "images"
