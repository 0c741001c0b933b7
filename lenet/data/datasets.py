"""Every source of images: IDX, npz and CIFAR-10 files, folders of pictures, downloads, bundled digits."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from lenet.config import TrainConfig
from lenet.data import cifar, downloads
from lenet.data.folders import FolderOptions, read_folder
from lenet.data.idx import read_idx
from lenet.registry import KNOWN_DATASETS

DIGIT_NAMES = tuple("0123456789")
FASHION_NAMES = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CLASS_NAMES = {
    "mnist": DIGIT_NAMES,
    "digits": DIGIT_NAMES,
    "fashion_mnist": FASHION_NAMES,
    "cifar10": cifar.CLASSES,
}

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
        mean: of the training images, per channel, from 0 to 1: what the network is to subtract;
            None where images go in as they are.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    sha256: str
    note: str = ""
    mean: tuple[float, ...] | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def load_dataset_for(config: TrainConfig, data_dir: Path | None = None) -> Dataset:
    """The images a config asks for, with every option of it that makes a difference to them.

    Args:
        data_dir: where they lie now, if not where the config says.

    Raises:
        FileNotFoundError, ValueError: as `load_dataset`.
    """
    options = FolderOptions(**{f.name: getattr(config, f.name) for f in fields(FolderOptions)})
    return load_dataset(config.dataset, data_dir or config.data_dir, options=options)


def load_dataset(
    name: str = "auto",
    data_dir: Path | str | None = None,
    cache: Path | None = None,
    options: FolderOptions | None = None,
) -> Dataset:
    """Loads a data set into memory.

    Args:
        name: "auto", "mnist", "fashion_mnist", "digits" or "cifar10". "auto" takes what
            `data_dir` holds; without one MNIST from the cache or the network; failing that the
            bundled digits, with a `note` that says so.
        data_dir: a folder with the four IDX files (raw or gzip) or one npz file with x_train,
            y_train, x_test and y_test; or that npz file; or CIFAR-10's archive or its batches;
            or a folder of pictures.
        cache: where downloads are kept; default `downloads.cache_folder()`.
        options: how a folder of pictures becomes images.

    Returns:
        The images as they are: uint8, not scaled, not shuffled.

    Raises:
        FileNotFoundError: the files are not there; the message says which to put where.
        ValueError: the files are there but not sound, or not the data set they are said to be;
            or there are `options`, but no folder of pictures to use them on.
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
                "Expected no data_dir with dataset='digits', which comes with scikit-learn. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        _refuse_options(options, name)
        return bundled_digits()
    if data_dir is not None:
        return _from_files(name, Path(data_dir), options)
    wanted = "mnist" if name == "auto" else name
    _refuse_options(options, wanted)
    folder = (cache or downloads.cache_folder()) / wanted
    try:
        downloads.fetch(wanted, folder)
    except (OSError, ValueError) as error:
        if name != "auto":
            files = ", ".join(downloads.SHA256[wanted])
            raise FileNotFoundError(
                f"{wanted} is not at hand and cannot be downloaded ({error}). Put {files} "
                f"into one folder and name it with --data-dir, or into {folder}."
            ) from error
        return bundled_digits(
            "MNIST is neither at hand (--data-dir) nor downloadable here, so this uses the 1,797 "
            "small digits bundled with scikit-learn: results are not MNIST results."
        )
    return _from_files(wanted, folder, options)


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
        mean=None if dataset.mean is None else channel_mean(train.images),
    )


def fingerprint(train: Split, test: Split) -> str:
    """The sha256 over the shapes and bytes of all images and labels, in hexadecimal."""
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
    # A sum of whole numbers is exact: no order of adding up makes other bits of it.
    total = images.sum(axis=(0, 1, 2), dtype=np.uint64)
    return tuple(float(channel) / (255 * images[..., 0].size) for channel in total)


def _from_files(name: str, place: Path, options: FolderOptions) -> Dataset:
    if not place.exists():
        raise FileNotFoundError(f"There is no folder or file {place}: see --data-dir.")
    found = _read_arrays(name, place)
    if found is None and name == "auto" and place.is_dir() and not any(place.glob("*.npz")):
        return _from_pictures(place, options)
    if found is None:
        what = "CIFAR-10" if name == "cifar10" else "images"
        raise FileNotFoundError(f"Found no {what} in {place}. Expected {_expected(name)}.")
    _refuse_options(options, str(place))
    arrays, names, is_cifar10 = found
    train, test = (
        _split(
            arrays[part, "images"],
            arrays[part, "labels"],
            names[part, "images"],
            names[part, "labels"],
        )
        for part in ("train", "test")
    )
    if is_cifar10:
        return _checked("cifar10", train, test, _note_on_size(train, test))
    dataset = _checked(name, train, test)
    if name == "mnist" and dataset.sha256 != MNIST_SHA256:
        raise ValueError(
            f"{place} does not hold MNIST: its images or labels differ from the original's. "
            "To train on these images under their own name, say --dataset auto."
        )
    if name == "fashion_mnist" and dataset.sha256 == MNIST_SHA256:
        raise ValueError(f"{place} holds MNIST, not Fashion-MNIST: say --dataset mnist.")
    if name == "auto":
        if dataset.sha256 == MNIST_SHA256:
            return _checked("mnist", train, test)
        own, note = _own_name(place, ("mnist", "digits", "cifar10"))
        dataset = _checked(own, train, test, note)
    return dataset


Arrays = dict[tuple[str, str], np.ndarray]


def _read_arrays(name: str, place: Path) -> tuple[Arrays, dict[tuple[str, str], str], bool] | None:
    """The four arrays of a place, where each came from, and whether they are CIFAR-10's."""
    if name in ("auto", "cifar10"):
        found = {key: _existing(place, file) for key, file in IDX_FILES.items()}
        has_others = any(found.values()) or any(place.glob("*.npz")) or place.suffix == ".npz"
        batches = None if has_others and name == "auto" else cifar.find_cifar10(place)
        if batches is not None:
            arrays = cifar.read_cifar10(batches)
            return arrays, dict.fromkeys(arrays, str(batches)), True
        if name == "cifar10":
            return None
    archives = [place] if place.is_file() else sorted(place.glob("*.npz"))
    found = {key: _existing(place, file) for key, file in IDX_FILES.items()}
    if any(found.values()):
        missing = [IDX_FILES[key] for key, path in found.items() if path is None]
        if missing:
            raise FileNotFoundError(
                f"{place} lacks {', '.join(missing)} (raw or .gz): put the missing file there."
            )
        arrays = {key: read_idx(path) for key, path in found.items() if path is not None}
        return arrays, {key: str(path) for key, path in found.items()}, False
    if len(archives) == 1:
        arrays = _read_npz(archives[0])
        return arrays, {key: f"{archives[0]} ({NPZ_KEYS[key]})" for key in NPZ_KEYS}, False
    return None


def _expected(name: str) -> str:
    """What a place must hold to be read, in words."""
    if name == "cifar10":
        return f"{cifar.ARCHIVE}, or the files in it"
    files = f"{', '.join(IDX_FILES.values())} (raw or .gz), or one .npz file"
    return files if name != "auto" else f"{files}, or {cifar.ARCHIVE}"


def _from_pictures(folder: Path, options: FolderOptions) -> Dataset:
    try:
        pictures = read_folder(folder, options)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Or expected {_expected('auto')}.") from None
    train = Split(pictures.train_images, pictures.train_labels)
    test = Split(pictures.test_images, pictures.test_labels)
    name, note = _own_name(folder, KNOWN_DATASETS)
    return Dataset(
        name,
        train,
        test,
        pictures.class_names,
        fingerprint(train, test),
        f"{note} {pictures.note}".strip(),
        channel_mean(train.images),
    )


def _refuse_options(options: FolderOptions, what: str) -> None:
    """Options of which nothing would come are a mistake, not a wish to be passed over."""
    given = options.given()
    if given:
        raise ValueError(
            f"Expected {', '.join(given)} only with a folder of pictures (--data-dir). "
            f"Received: {what}, whose images are taken as they are"
        )


def _own_name(place: Path, reserved: Sequence[str]) -> tuple[str, str]:
    """What images are called by where they lie, and a note if that had to be changed."""
    own = _slug((place.resolve() if place.is_dir() else place).stem)
    if own not in reserved:
        return own, ""
    note = f"{place} does not hold the original {own}, so it goes by {own}_images here."
    return f"{own}_images", note


def _note_on_size(train: Split, test: Split) -> str:
    if (len(train), len(test)) == cifar.IMAGES:
        return ""
    return (
        f"These are {len(train):,} training and {len(test):,} test images, not CIFAR-10's "
        f"{cifar.IMAGES[0]:,} and {cifar.IMAGES[1]:,}: results are not CIFAR-10 results."
    )


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
