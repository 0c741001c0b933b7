"""One part of a data set, its checks, and the fingerprint of its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from lenet.data.reader import RawSplit


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        images: uint8 [n, height, width, channels].
        labels: int32 [n], each from 0 to the number of classes minus 1.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def check_split(raw: RawSplit) -> Split:
    """Checks the arrays of one split and converts them to their final shape and types.

    Raises:
        ValueError: they are not images and labels, or their numbers differ; the message names
            their source.
    """
    images, labels = raw.images, raw.labels
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise ValueError(
            f"Expected {raw.images_source} to contain uint8 images [n, height, width(, channels)]. "
            f"Received: {images.dtype} {list(images.shape)}"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Expected {raw.labels_source} to contain whole numbers [n]. "
            f"Received: {labels.dtype} {list(labels.shape)}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"Expected as many images as labels. Received: {len(images):,} images in "
            f"{raw.images_source}, {len(labels):,} labels in {raw.labels_source}"
        )
    if images.size == 0:
        raise ValueError(f"Expected at least one image in {raw.images_source}. Received: none")
    outside = labels[(labels < 0) | (labels > np.iinfo(np.int32).max)]
    if outside.size:
        raise ValueError(
            f"Expected {raw.labels_source} to contain labels of at least 0. "
            f"Received: label {outside[0]}"
        )
    if images.ndim == 3:
        images = images[..., None]
    return Split(np.ascontiguousarray(images), labels.astype(np.int32))


def check_pair(train: Split, test: Split, num_classes: int) -> None:
    """Checks that two splits belong together.

    Raises:
        ValueError: their images differ in size, there are fewer than two classes, or a label is
            outside the classes.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        raise ValueError(
            "Expected training and test images of one size. Received: "
            f"{list(train.images.shape[1:])} and {list(test.images.shape[1:])}"
        )
    for name, labels in (("training", train.labels), ("test", test.labels)):
        outside = labels[labels >= num_classes]
        if outside.size:
            raise ValueError(
                f"Expected {name} labels from 0 to {num_classes - 1}, one for each of the "
                f"{num_classes} classes. Received: label {outside[0]}"
            )
    if num_classes < 2:
        raise ValueError(f"Expected at least two classes. Received: {num_classes}")


def fingerprint(train: Split, test: Split) -> str:
    """The sha256 of the shapes and bytes of all images and labels, in hexadecimal."""
    digest = hashlib.sha256()
    for array in (train.images, train.labels, test.images, test.labels):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def channel_mean(images: np.ndarray) -> tuple[float, ...]:
    """The mean of each channel over all pixels of all images, from 0 to 1.

    Args:
        images: uint8 [n, height, width, channels].
    """
    # A sum of integers is exact, so the order of summation cannot change the result.
    total = images.sum(axis=(0, 1, 2), dtype=np.uint64)
    return tuple(float(channel) / (255 * images[..., 0].size) for channel in total)
