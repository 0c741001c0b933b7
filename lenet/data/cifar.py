"""CIFAR-10 in its binary version, read from the archive as it is or from the files in it.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the
data set's page, https://www.cs.toronto.edu/~kriz/cifar.html: records of 3,073 bytes, the label
from 0 to 9, then 32 rows of 32 pixels of red, then of green, then of blue.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from io import BufferedReader
from pathlib import Path, PurePosixPath

import numpy as np

from lenet.data.idx import GZIP_MAGIC

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BATCHES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
ARCHIVE = "cifar-10-binary.tar.gz"
PYTHON_ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-bin"
PYTHON_FOLDER = "cifar-10-batches-py"
IMAGES = (50_000, 10_000)  # To train on, to test on.
SIDE, CHANNELS = 32, 3
RECORD = 1 + SIDE * SIDE * CHANNELS
MOST_BYTES = 10_000 * RECORD  # Of one batch.


def find_cifar10(place: Path) -> Path | None:
    """The archive, or the folder of batches, that a file or folder is or holds; else None.

    Raises:
        ValueError: it holds the Python version of the data set.
    """
    batches = {name for names in BATCHES.values() for name in names}
    if place.is_file():
        is_archive = place.name.removesuffix(".gz").endswith((".tar", ".tgz"))
        found = place if is_archive else None
    else:
        candidates = [place / ARCHIVE, place / ARCHIVE.removesuffix(".gz")]
        found = next((path for path in candidates if path.is_file()), None)
        for folder in (place, place / FOLDER):
            if found is None and any((folder / name).is_file() for name in batches):
                found = folder
    python = (PYTHON_ARCHIVE, PYTHON_FOLDER)
    if place.name in python or (found is None and any((place / n).exists() for n in python)):
        raise ValueError(
            f"{place} holds the Python version of CIFAR-10, whose files can run any program when "
            f"they are read: get the binary version, {ARCHIVE}."
        )
    return found


def read_cifar10(place: Path) -> dict[tuple[str, str], np.ndarray]:
    """Reads all batches; of an archive nothing is written to the disk.

    Args:
        place: what `find_cifar10` found.

    Returns:
        (part, kind) → uint8 images [n, 32, 32, 3] and labels [n]; part is train or test, kind
        images or labels.

    Raises:
        FileNotFoundError: a batch is missing.
        ValueError: the archive or a batch is damaged.
    """
    batches = _from_archive(place) if place.is_file() else _from_folder(place)
    missing = [name for names in BATCHES.values() for name in names if name not in batches]
    if missing:
        raise FileNotFoundError(f"{place} lacks {', '.join(missing)}.")
    arrays = {}
    for part, names in BATCHES.items():
        records = np.concatenate([_records(batches[name], f"{place} ({name})") for name in names])
        planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
        arrays[part, "images"] = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        arrays[part, "labels"] = records[:, 0]
    return arrays


def _from_folder(folder: Path) -> dict[str, bytes]:
    paths = [folder / name for names in BATCHES.values() for name in names]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _from_archive(path: Path) -> dict[str, bytes]:
    wanted = {name for names in BATCHES.values() for name in names}
    batches: dict[str, bytes] = {}
    try:
        # As a stream: in one pass, and never more of it in memory than one batch. Through gzip's
        # own reader, for tarfile's does not compare the checksum at the end.
        with _unpacked(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name not in wanted or not member.isreg():
                    continue
                if member.size > MOST_BYTES:
                    raise ValueError(f"{name} has {member.size:,} bytes, more than CIFAR-10's")
                file = archive.extractfile(member)
                assert file is not None
                batches[name] = file.read()
            while stream.read(2**20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise ValueError(f"Expected {path} to be a whole archive of CIFAR-10: {error}") from error
    return batches


def _unpacked(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return gzip.open(path) if packed else path.open("rb")


def _records(content: bytes, name: str) -> np.ndarray:
    """The records of one batch, uint8 [n, 3073]."""
    if not content or len(content) % RECORD:
        raise ValueError(
            f"Expected {name} to hold records of {RECORD:,} bytes. Received: {len(content):,} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise ValueError(
            f"Expected {name} to hold labels from 0 to 9. Received: {records[:, 0].max()}"
        )
    return records
