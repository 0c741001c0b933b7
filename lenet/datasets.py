"""Every source of images: files in IDX or npz, downloads, and the digits bundled with scikit-learn."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenet import downloads
from lenet.idx import read_idx
from lenet.registry import KNOWN_DATASETS

DIGIT_NAMES = tuple("0123456789")
FASHION_NAMES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CLASS_NAMES = {"mnist": DIGIT_NAMES, "digits": DIGIT_NAMES, "fashion_mnist": FASHION_NAMES}

IDX_FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
# The sha256 that `fingerprint` gives for the one true MNIST, so that no other set bears its name.
MNIST_SHA256 = "e01a2336dfa29a82d2f956a620da1be7d0b6fdfcadd0a9b2725ffcb8e1274d74"
TEST_IMAGES_PER_DIGIT = 100


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        images: uint8 [n, height, width, channels].
        labels: int32 [n], each from 0 to the number of classes less one.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Images in memory, ready to train on.

    Attributes:
        name: what the images are, e.g. "mnist", "digits", or a folder's name.
        class_names: one name per class, in the order of the labels.
        sha256: of all images and labels, in hexadecimal.
        note: what the user should know about where the images came from, or "".
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    sha256: str
    note: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def load_dataset(
    name: str = "auto", data_dir: Path | str | None = None, cache: Path | None = None
) -> Dataset:
    """Loads a data set into memory.

    Args:
        name: "auto", "mnist", "fashion_mnist" or "digits". "auto" takes what `data_dir` holds;
            without one MNIST from the cache or the network; failing that the bundled digits,
            with a `note` that says so.
        data_dir: a folder with the four IDX files (raw or gzip) or one npz file with x_train,
            y_train, x_test and y_test; or that npz file.
        cache: where downloads are kept; default `downloads.cache_folder()`.

    Returns:
        The images as they are: uint8, not scaled, not shuffled.

    Raises:
        FileNotFoundError: the files are not there; the message says which to put where.
        ValueError: the files are there but not sound, or not the data set they are said to be.
    """
    if name not in ("auto", *KNOWN_DATASETS):
        raise ValueError(
            f"Expected dataset to be one of auto, {', '.join(KNOWN_DATASETS)}. "
            f"Received: dataset={name!r}"
        )
    if name == "digits":
        if data_dir is not None:
            raise ValueError(
                "Expected no data_dir with dataset='digits', which comes with scikit-learn. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        return bundled_digits()
    if data_dir is not None:
        return _from_files(name, Path(data_dir))
    wanted = "mnist" if name == "auto" else name
    folder = (cache or downloads.cache_folder()) / wanted
    try:
        downloads.fetch(wanted, folder)
    except (OSError, ValueError) as error:
        if name != "auto":
            files = ", ".join(f"{file}.gz" for file in IDX_FILES.values())
            raise FileNotFoundError(
                f"{wanted} is not at hand and cannot be downloaded ({error}). Put {files} "
                f"into one folder and name it with --data-dir, or into {folder}."
            ) from error
        return bundled_digits(
            "MNIST is neither at hand (--data-dir) nor downloadable here, so this uses the 1,797 "
            "small digits bundled with scikit-learn: results are not MNIST results."
        )
    return _from_files(wanted, folder)


def bundled_digits(note: str = "") -> Dataset:
    """The 1,797 handwritten digits of scikit-learn, 8x8, resized to 28x28.

    Source: E. Alpaydin & C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    Each class gives exactly 100 test images, always the same; 797 remain for training.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = np.stack(
        [np.asarray(Image.fromarray(i).resize((28, 28), Image.Resampling.BICUBIC)) for i in small]
    )[..., None]
    labels = digits.target.astype(np.int32)
    rng = np.random.default_rng(0)
    in_test = np.zeros(len(labels), bool)
    for digit in range(10):
        of_digit = np.flatnonzero(labels == digit)
        in_test[rng.permutation(of_digit)[:TEST_IMAGES_PER_DIGIT]] = True
    return _checked(
        "digits",
        Split(images[~in_test], labels[~in_test]),
        Split(images[in_test], labels[in_test]),
        note,
    )


def hold_out(dataset: Dataset, fraction: float) -> Dataset:
    """A data set to choose options on: its test images are taken from the training images.

    Of each class the same share is held out, always the same images. The real test images are
    left out altogether, so nothing that is chosen this way has seen them.

    Args:
        fraction: the share of the training images that is held out, between 0 and 1.

    Returns:
        A data set of another name and sha256, so that its runs are never mixed with others.

    Raises:
        ValueError: the fraction leaves a class without images to train or to validate on.
    """
    labels, rng = dataset.train.labels, np.random.default_rng(0)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        count = round(fraction * len(of_class))
        if not 0 < count < len(of_class):
            raise ValueError(
                f"Expected a fraction that splits the {len(of_class)} training images of class "
                f"{dataset.class_names[label]} in two. Received: fraction={fraction}"
            )
        held[rng.permutation(of_class)[:count]] = True
    train, validation = (
        Split(dataset.train.images[chosen], labels[chosen]) for chosen in (~held, held)
    )
    return Dataset(
        f"{dataset.name}_validation",
        train,
        validation,
        dataset.class_names,
        fingerprint(train, validation),
    )


def fingerprint(train: Split, test: Split) -> str:
    """The sha256 over the shapes and bytes of all images and labels, in hexadecimal."""
    digest = hashlib.sha256()
    for array in (train.images, train.labels, test.images, test.labels):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _from_files(name: str, place: Path) -> Dataset:
    if not place.exists():
        raise FileNotFoundError(f"There is no folder or file {place}: see --data-dir.")
    archives = [place] if place.is_file() else sorted(place.glob("*.npz"))
    found = {key: _existing(place, file) for key, file in IDX_FILES.items()}
    if any(found.values()):
        missing = [IDX_FILES[key] for key, path in found.items() if path is None]
        if missing:
            raise FileNotFoundError(
                f"{place} lacks {', '.join(missing)} (raw or .gz): put the missing file there."
            )
        arrays = {key: read_idx(path) for key, path in found.items() if path is not None}
        names = {key: str(path) for key, path in found.items()}
    elif len(archives) == 1:
        arrays = _read_npz(archives[0])
        names = {key: f"{archives[0]} ({NPZ_KEYS[key]})" for key in NPZ_KEYS}
    else:
        raise FileNotFoundError(
            f"Found no images in {place}. Expected {', '.join(IDX_FILES.values())} (raw or .gz), "
            "or one .npz file."
        )
    train, test = (
        _split(
            arrays[part, "images"],
            arrays[part, "labels"],
            names[part, "images"],
            names[part, "labels"],
        )
        for part in ("train", "test")
    )
    dataset = _checked(name, train, test)
    if name == "mnist" and dataset.sha256 != MNIST_SHA256:
        raise ValueError(
            f"{place} does not hold MNIST: its images or labels differ from the original's. "
            "To train on these images under their own name, say --dataset auto."
        )
    if name == "fashion_mnist" and dataset.sha256 == MNIST_SHA256:
        raise ValueError(f"{place} holds MNIST, not Fashion-MNIST: say --dataset mnist.")
    if name == "auto":
        folder_name = (place.resolve() if place.is_dir() else place).stem
        own, note = _slug(folder_name), ""
        if dataset.sha256 == MNIST_SHA256:
            own = "mnist"
        elif own in ("mnist", "digits"):
            note = f"{place} does not hold the original {own}, so it goes by {own}_images here."
            own = f"{own}_images"
        dataset = _checked(own, train, test, note)
    return dataset


def _existing(folder: Path, file: str) -> Path | None:
    candidates = (folder / file, folder / f"{file}.gz")
    return next((path for path in candidates if path.is_file()), None)


NPZ_KEYS = {
    ("train", "images"): "x_train",
    ("train", "labels"): "y_train",
    ("test", "images"): "x_test",
    ("test", "labels"): "y_test",
}


def _read_npz(path: Path) -> dict[tuple[str, str], np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"Expected {path} to be an .npz file. It is none, or not whole.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in NPZ_KEYS.values() if key not in archive]
            arrays = {key: archive[entry] for key, entry in NPZ_KEYS.items() if not missing}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"Expected {path} to be a whole .npz file: {error}") from error
    if missing:
        raise ValueError(
            f"Expected {path} to hold x_train, y_train, x_test and y_test. "
            f"It lacks {', '.join(missing)}."
        )
    return arrays


def _split(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> Split:
    """Checks one split and gives it its final shape and types."""
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise ValueError(
            f"Expected {images_name} to hold uint8 images [n, height, width(, channels)]. "
            f"Received: {images.dtype} {list(images.shape)}"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Expected {labels_name} to hold whole numbers [n]. "
            f"Received: {labels.dtype} {list(labels.shape)}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"Expected as many images as labels. {images_name} holds {len(images):,} images, "
            f"{labels_name} {len(labels):,} labels."
        )
    if images.size == 0:
        raise ValueError(f"Expected at least one image in {images_name}. It is empty.")
    outside = labels[(labels < 0) | (labels > np.iinfo(np.int32).max)]
    if outside.size:
        raise ValueError(
            f"Expected {labels_name} to hold labels from 0 on. Received: label {outside[0]}"
        )
    if images.ndim == 3:
        images = images[..., None]
    return Split(np.ascontiguousarray(images), labels.astype(np.int32))


def _checked(name: str, train: Split, test: Split, note: str = "") -> Dataset:
    """Checks that two splits belong together and makes a Dataset of them."""
    if train.images.shape[1:] != test.images.shape[1:]:
        raise ValueError(
            "Expected training and test images of one size. Received: "
            f"{list(train.images.shape[1:])} and {list(test.images.shape[1:])}"
        )
    class_names = CLASS_NAMES.get(name)
    present = np.unique(train.labels)
    num_classes = len(class_names) if class_names else len(present)
    for split_name, labels in (("training", train.labels), ("test", test.labels)):
        outside = labels[labels >= num_classes]
        if outside.size:
            raise ValueError(
                f"Expected {split_name} labels from 0 to {num_classes - 1}, one for each of the "
                f"{num_classes} classes. Received: label {outside[0]}"
            )
    if num_classes < 2:
        raise ValueError(f"Expected at least two classes. Received: {num_classes}")
    names = class_names or tuple(str(label) for label in range(num_classes))
    return Dataset(name, train, test, names, fingerprint(train, test), note)


def _slug(name: str) -> str:
    """A folder's name as it may stand inside a run's name."""
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name).strip("._") or "images"
