"""The interface of all image readers, which `formats.py` lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from lenet.registry import Resize


@dataclass(frozen=True)
class FolderOptions:
    """How a folder of image files becomes arrays. `TrainConfig` has fields of the same names.

    Attributes:
        image_size: the side of the images, in pixels; None for 64, or for the files' own size if
            all are squares of one size up to 64.
        resize: "crop" scales the shorter side and keeps the middle; "squash" scales both sides.
        classes: the classes to use; None for all.
        class_from_name: whether a file's class is the text before the number in its name.
        test_fraction: the share of images for testing, in folders without test/; None for 0.15.
        skip_bad_files: whether to leave out files that cannot be decoded instead of stopping.
    """

    image_size: int | None = None
    resize: Resize = "crop"
    classes: tuple[str, ...] | None = None
    class_from_name: bool = False
    test_fraction: float | None = None
    skip_bad_files: bool = False

    def given(self) -> tuple[str, ...]:
        """The names of the options that differ from their defaults."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


@dataclass(frozen=True)
class RawSplit:
    """The images and labels of one split as they were read, not checked yet.

    Attributes:
        images, labels: any arrays; `splits.check_split` checks them.
        images_source, labels_source: the origin of each, for error messages.
    """

    images: np.ndarray
    labels: np.ndarray
    images_source: str
    labels_source: str


@dataclass(frozen=True)
class RawImages:
    """What a reader returns.

    Attributes:
        train, test: the two splits.
        name: the data set's name if the format defines it; with "", it is named after the file
            or folder.
        class_names: one name per class, in the order of the labels; () for the data set's
            usual names, or the labels as numbers.
        subtract_mean: whether the network subtracts the mean of the training images.
        note: a note for the user about these images, or "".
        origin: how files became images of this size, e.g. "cropped from 60×80", or "".
        test_is_fraction: whether the program chose the test images, as a fraction of a folder.
    """

    train: RawSplit
    test: RawSplit
    name: str = ""
    class_names: tuple[str, ...] = ()
    subtract_mean: bool = False
    note: str = ""
    origin: str = ""
    test_is_fraction: bool = False


@dataclass(frozen=True)
class Reader:
    """One format of images.

    Attributes:
        expected: what `find` looks for, in words, for the message when nothing is found.
        find: takes an existing path. Returns the file or folder to read, or None if there are
            no images of this format. Raises ValueError or FileNotFoundError if the images have
            this format but cannot be used.
        read: reads what `find` returned.
        datasets: the values of --dataset for which this format is tried. With "auto", every
            format is tried.
        uses_options: whether `read` uses the options. If not, giving any option is an error.
    """

    expected: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, FolderOptions], RawImages]
    datasets: tuple[str, ...] = ()
    uses_options: bool = False
