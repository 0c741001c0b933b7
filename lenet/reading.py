"""Reads files that may be damaged, or made to do harm, without blocking and without filling memory.

A file is opened only if it is a regular file. Sizes that a file states about itself are checked
before memory is allocated for them. Nothing is unpickled, and nothing is unpacked to the disk.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MAXIMUM_JSON = 100_000_000  # Bytes. A grid.json has about 1,000 bytes for each run.
# Data may be this many times as large as its file. Images with little detail compress to about
# 1/120; only data that was made to fill the memory compresses to 1/1,000.
MAXIMUM_RATIO = 250
ALWAYS_ALLOWED = 20_000_000  # Bytes. Small data may compress better.
BLOCK = 2**20
NPY_HEADER = 10_000  # Bytes. NumPy refuses longer headers, too.
KINDS_OF_NUMBERS = "biufcSU"  # NumPy's codes: booleans, numbers, text. No objects: no pickle.
KINDS_OF_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# What the zip module raises on damaged archives: a mutated field can lead to almost anything.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,  # An encrypted entry, or (NotImplementedError) a later version of the format.
    OSError,
    MemoryError,
)


class UnusableFileError(ValueError):
    """A file is damaged or of a different kind. The message names the file and the reason."""


def one_line(text: str) -> str:
    """A text from a file or a name, without line breaks and characters that control a terminal."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def special_kind(path: Path) -> str | None:
    """What a path is if it is not a regular file, e.g. "a named pipe"; otherwise None.

    Raises:
        OSError: there is nothing at the path, or it is a circular link.
    """
    mode = path.stat().st_mode
    return None if stat.S_ISREG(mode) else KINDS_OF_FILES.get(stat.S_IFMT(mode), "a special file")


def open_file(path: Path) -> io.BufferedReader:
    """Opens a regular file for reading. Opening a named pipe or a device could wait for ever.

    Raises:
        OSError: the file is missing or cannot be opened.
        UnusableFileError: it is not a regular file.
    """
    kind = special_kind(path)
    if kind is not None:
        raise UnusableFileError(f"Expected {path} to be a file. Received: {kind}")
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def read_bytes(path: Path, maximum: int) -> bytes:
    """Reads a regular file.

    Raises:
        OSError: as `open_file`.
        UnusableFileError: it is not a regular file, or has more than `maximum` bytes.
    """
    with open_file(path) as file:
        content = file.read(maximum + 1)
    if len(content) > maximum:
        raise UnusableFileError(f"{path} has more than {maximum:,} bytes")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file that contains one JSON object.

    Raises:
        OSError: the file is missing or cannot be opened.
        UnusableFileError: it contains anything else; the message says what.
    """
    content = read_bytes(path, MAXIMUM_JSON)
    try:
        values = json.loads(content)
        # Half of a character cannot be written. Paths may contain bytes that are not text.
        json.dumps(values, ensure_ascii=False).encode(errors="surrogateescape")
    except RecursionError:
        raise UnusableFileError(f"{path} is damaged: it is nested too deeply") from None
    except ValueError as error:
        reason = error if content else "it is empty"
        raise UnusableFileError(f"{path} is damaged: {reason}") from error
    if not isinstance(values, dict):
        raise UnusableFileError(f"{path} is damaged: it contains no JSON object")
    return values


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz file.

    Raises:
        OSError: the file is missing or cannot be opened.
        UnusableFileError: it is not an .npz file.
    """
    with _archive(path) as archive:
        return list(_entries(archive))


def read_arrays(
    path: Path, wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, np.ndarray]:
    """Reads arrays of an .npz file. All headers are checked before memory is allocated.

    Args:
        wanted: returns whether to read the array with a name.

    Returns:
        The arrays by name, in the order of the file.

    Raises:
        OSError: the file is missing or cannot be opened.
        UnusableFileError: it is not an .npz file, is damaged, contains objects, or its arrays do
            not fit into memory.
    """
    with _archive(path) as archive:
        entries = {name: entry for name, entry in _entries(archive).items() if wanted(name)}
        total = sum(entry.file_size for entry in entries.values())
        check_size(total, path.stat().st_size, path)
        return {name: _read_array(archive, entry, name) for name, entry in entries.items()}


def check_size(size: int, stored: int, path: Path) -> None:
    """Checks that the data in a compressed file fits into memory.

    Args:
        size: the number of bytes of the data, as the file states it.
        stored: the number of bytes of the file.

    Raises:
        UnusableFileError: the data cannot be in the file, or does not fit into memory.
    """
    if size > max(MAXIMUM_RATIO * stored, ALWAYS_ALLOWED):
        raise UnusableFileError(
            f"Expected {path} to contain at most {MAXIMUM_RATIO} times as many bytes as the file "
            f"has, which is {stored:,}. Received: {size:,} bytes, as its header says"
        )
    if size > ALWAYS_ALLOWED and 2 * size > (available := free_memory()):
        raise UnusableFileError(
            f"Expected {path} to fit into memory. Received: {size / 1e9:,.1f} GB of data, and "
            f"TensorFlow's own copy needs as much again. {available / 1e9:,.1f} GB are free"
        )


def read_at_most(stream: IO[bytes] | gzip.GzipFile, size: int, start: bytes = b"") -> np.ndarray:
    """Reads bytes from a stream into an array, uint8 [size], or fewer if the stream ends before.

    Args:
        start: the first of these bytes, which were already read.
    """
    import numpy as np

    content, filled = np.empty(size, np.uint8), len(start)
    content[:filled] = np.frombuffer(start, np.uint8)
    while block := stream.read(min(BLOCK, size - filled)):
        content[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
        filled += len(block)
    return content[:filled]


def free_memory() -> int:
    """The bytes of memory that are free without swapping, within the limit of a container."""
    import psutil

    available = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (number := limit.read_text().strip()).isdecimal():
        available = min(available, int(number))
    return available


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens an .npz file. All errors of the zip module become one that names the file."""
    with open_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except UnusableFileError:
            raise
        except ZIP_ERRORS as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UnusableFileError(f"{path} is not a complete .npz file: {reason}") from error


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries of an .npz file by the names of their arrays."""
    return {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> np.ndarray:
    if entry.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by a method that NumPy does not use")
    with archive.open(entry) as stream:
        start = stream.read(min(NPY_HEADER, entry.file_size))
        shape, is_fortran, dtype, begin = _npy_header(start, name)
        size = math.prod(shape) * dtype.itemsize
        if begin + size != entry.file_size:
            raise ValueError(
                f"{name} has {entry.file_size - begin:,} bytes, not {size:,} as its header says"
            )
        content = read_at_most(stream, size, start[begin:])
    return content.view(dtype).reshape(shape, order="F" if is_fortran else "C")


def _npy_header(start: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """The shape, the order and the type of an array in NumPy's format, and its header's length."""
    from numpy.lib import format as npy

    stream = io.BytesIO(start)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = readers[npy.read_magic(stream)](stream)
    except Exception as error:  # NumPy parses the header as Python, and raises what parsers raise.
        raise ValueError(f"{name} is not an array in NumPy's format") from error
    if dtype.kind not in KINDS_OF_NUMBERS or not dtype.itemsize:
        raise ValueError(f"{name} contains {dtype.name}, not numbers")
    return shape, is_fortran, dtype, stream.tell()
