"""Reads the binary version of CIFAR-10 from its archive or from the files in the archive.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the
data set's page, https://www.cs.toronto.edu/~kriz/cifar.html: records of 3,073 bytes, the label
from 0 to 9, then 32 rows of 32 pixels of red, then of green, then of blue.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from lenet.data.idx import GZIP_MAGIC
from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader
from lenet.reading import open_file, read_bytes

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
TRAIN_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCHES = ("test_batch.bin",)
BATCHES = (*TRAIN_BATCHES, *TEST_BATCHES)
ARCHIVE = "cifar-10-binary.tar.gz"
PYTHON_ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-bin"
PYTHON_FOLDER = "cifar-10-batches-py"
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
SIDE, CHANNELS = 32, 3
RECORD = 1 + SIDE * SIDE * CHANNELS
MAXIMUM_BYTES = 10_000 * RECORD  # The maximum size of one batch.
MAXIMUM_ARCHIVE = len(BATCHES) * MAXIMUM_BYTES + 2**20  # Bytes, with the other files.
# What the tar module raises on damaged archives. Headers that refer to headers are read recursively.
ARCHIVE_ERRORS = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
)


def find_cifar10(path: Path) -> Path | None:
    """The archive or the folder of batches that a path names, or that a folder contains.

    Raises:
        ValueError: the path has the Python version of the data set.
    """
    source = None
    if path.is_file():
        is_archive = path.name.removesuffix(".gz").endswith((".tar", ".tgz"))
        source = path if is_archive else None
    else:
        archives = (path / ARCHIVE, path / ARCHIVE.removesuffix(".gz"))
        folders = (path, path / FOLDER)
        candidates = [archive for archive in archives if archive.is_file()]
        candidates += [f for f in folders if any((f / name).is_file() for name in BATCHES)]
        source = candidates[0] if candidates else None
    python = (PYTHON_ARCHIVE, PYTHON_FOLDER)
    if path.name in python or (source is None and any((path / name).exists() for name in python)):
        raise ValueError(
            f"Expected the binary version of CIFAR-10, {ARCHIVE}. Received: {path} with the Python "
            "version, whose files can run any program when they are read"
        )
    return source


def read_cifar10(source: Path, _: FolderOptions) -> RawImages:
    """Reads all batches. An archive is read without writing its files to the disk.

    Args:
        source: an archive or a folder.

    Raises:
        FileNotFoundError: a batch is missing.
        ValueError: the archive or a batch is damaged.
    """
    batches = _from_archive(source) if source.is_file() else _from_folder(source)
    missing = [name for name in BATCHES if name not in batches]
    if missing:
        raise FileNotFoundError(
            f"{source} lacks {', '.join(missing)}. Download {ARCHIVE} again or add these files."
        )
    train, test = (_split(batches, names, source) for names in (TRAIN_BATCHES, TEST_BATCHES))
    counts = len(train.labels), len(test.labels)
    note = ""
    if counts != (TRAIN_IMAGES, TEST_IMAGES):
        note = (
            f"These are {counts[0]:,} training and {counts[1]:,} test images, not CIFAR-10's "
            f"{TRAIN_IMAGES:,} and {TEST_IMAGES:,}, so results are not CIFAR-10 results."
        )
    return RawImages(train, test, name="cifar10", class_names=CLASSES, note=note)


def _split(batches: dict[str, bytes], names: tuple[str, ...], source: Path) -> RawSplit:
    """The images of several batches, uint8 [n, 32, 32, 3], and their labels, uint8 [n]."""
    records = np.concatenate([_records(batches[name], f"{source} ({name})") for name in names])
    planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
    return RawSplit(planes.transpose(0, 2, 3, 1), records[:, 0], str(source), str(source))


def _records(content: bytes, source: str) -> np.ndarray:
    """The records of one batch, uint8 [n, 3073]."""
    if not content or len(content) % RECORD:
        raise ValueError(
            f"Expected {source} to contain records of {RECORD:,} bytes. "
            f"Received: {len(content):,} bytes. Download {ARCHIVE} again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(CLASSES):
        raise ValueError(
            f"Expected {source} to contain labels from 0 to {len(CLASSES) - 1}. "
            f"Received: {records[:, 0].max()}. Download {ARCHIVE} again."
        )
    return records


def _from_folder(folder: Path) -> dict[str, bytes]:
    paths = [folder / name for name in BATCHES]
    return {path.name: read_bytes(path, MAXIMUM_BYTES) for path in paths if path.is_file()}


def _from_archive(path: Path) -> dict[str, bytes]:
    batches: dict[str, bytes] = {}
    try:
        # Read as a stream, so that at most one batch is in memory besides the result, and with
        # gzip's own reader, because tarfile's does not check the checksum at the end.
        with _Stream(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name not in BATCHES or not member.isreg():
                    continue
                if member.size > MAXIMUM_BYTES:
                    raise ValueError(f"{name} has {member.size:,} bytes, more than expected")
                file = archive.extractfile(member)
                assert file is not None
                batches[name] = file.read()
            while stream.read(2**20):
                pass
    except ARCHIVE_ERRORS as error:
        raise ValueError(
            f"Expected {path} to be a complete archive of CIFAR-10: {error}. Download it again."
        ) from error
    return batches


class _Stream(io.RawIOBase):
    """The bytes of an archive after decompression, up to `MAXIMUM_ARCHIVE`."""

    def __init__(self, path: Path) -> None:
        self._file = open_file(path)
        is_gzip = self._file.read(2) == GZIP_MAGIC
        self._file.seek(0)
        self._bytes = gzip.GzipFile(fileobj=self._file) if is_gzip else self._file
        self._left = MAXIMUM_ARCHIVE

    def read(self, size: int = -1) -> bytes:
        content = self._bytes.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"it contains more than {MAXIMUM_ARCHIVE:,} bytes")
        return content

    def close(self) -> None:
        self._file.close()
        super().close()


READER = Reader(
    expected=f"{ARCHIVE}, or the files in it",
    find=find_cifar10,
    read=read_cifar10,
    datasets=("cifar10",),
)
