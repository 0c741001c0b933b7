"""Reads and writes MNIST's IDX files, raw or gzip, with NumPy only.

Source: the format's description on Yann LeCun's MNIST page: two zero bytes, a byte for the
type, a byte for the number of dimensions, each dimension as a big-endian 32-bit integer,
then the values in C order, big-endian.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lenet import reading
from lenet.data.reader import FolderOptions, RawImages, RawSplit, Reader

IDX_FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
DTYPES = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"


def find_idx_folder(path: Path) -> Path | None:
    """The folder itself if it contains at least one of the four IDX files.

    Raises:
        FileNotFoundError: at least one of the four is missing.
        ValueError: the path is one of the four files, not their folder.
    """
    if path.is_file() and path.name.removesuffix(".gz") in IDX_FILES.values():
        raise ValueError(
            f"Expected the folder of the four IDX files. Received: {path}, which is one of them. "
            f"Use --data-dir {path.parent}"
        )
    present = {file: _raw_or_gzip(path, file) is not None for file in IDX_FILES.values()}
    if not any(present.values()):
        return None
    missing = [file for file, is_present in present.items() if not is_present]
    if missing:
        raise FileNotFoundError(
            f"{path} lacks {', '.join(missing)} (raw or .gz). Put the missing files into this folder."
        )
    return path


def read_idx_folder(folder: Path, _: FolderOptions) -> RawImages:
    """Reads the four files.

    Raises:
        ValueError: as `read_idx`.
    """
    paths = {key: _raw_or_gzip(folder, file) for key, file in IDX_FILES.items()}
    arrays = {key: read_idx(path) for key, path in paths.items() if path is not None}
    train, test = (
        RawSplit(
            arrays[split, "images"],
            arrays[split, "labels"],
            str(paths[split, "images"]),
            str(paths[split, "labels"]),
        )
        for split in ("train", "test")
    )
    return RawImages(train, test)


def read_idx(path: Path | str) -> np.ndarray:
    """Reads one IDX file.

    Args:
        path: the file; gzip is recognized by its content, not by its name.

    Returns:
        An array with the shape and type in the header, in the machine's byte order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an IDX file, its gzip is damaged, or it has more or
            fewer bytes than stated in its header; the message names the file.
    """
    path = Path(path)
    with reading.open_file(path) as file:
        is_gzip = file.read(2) == GZIP_MAGIC
        file.seek(0)
        try:
            return _read(gzip.GzipFile(fileobj=file) if is_gzip else file, path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"Expected {path} to be a complete gzip file. It is truncated or damaged "
                f"({error}). Get the file again."
            ) from error


def _read(stream: BinaryIO | gzip.GzipFile, path: Path) -> np.ndarray:
    """Reads the header first, and then exactly as many bytes as the header says."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise ValueError(
            f"Expected {path} to be an IDX file (two zero bytes, then a type). "
            f"Received: {magic.hex(' ') or 'an empty file'}"
        )
    dtype, rank = DTYPES[magic[2]], magic[3]
    dimensions = stream.read(4 * rank)
    if len(dimensions) < 4 * rank:
        raise ValueError(
            f"Expected {path} to have {rank} dimensions. Received: a file truncated inside its "
            "header. Get the file again."
        )
    shape = struct.unpack(f">{rank}I", dimensions)
    size, stored = math.prod(shape) * dtype.itemsize, path.stat().st_size
    most = size if isinstance(stream, gzip.GzipFile) else min(size, stored)
    reading.check_size(most, stored, path)
    content = reading.read_at_most(stream, most)
    has_more = bool(stream.read(1))
    if len(content) != size or has_more:
        raise ValueError(
            f"Expected {path} to contain {size:,} bytes of data, as its header says "
            f"({' x '.join(map(str, shape))}). "
            f"Received: {'more' if has_more else f'{len(content):,} bytes'}. Get the file again."
        )
    return content.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: Path | str, array: np.ndarray) -> None:
    """Writes an array as one IDX file, compressed with gzip if the name ends in `.gz`.

    Raises:
        ValueError: the format does not support the type of the array.
    """
    codes = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}
    if array.dtype not in codes:
        raise ValueError(
            f"Expected one of the types {', '.join(map(str, codes))}. Received: dtype={array.dtype}"
        )
    code = codes[array.dtype]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = header + array.astype(DTYPES[code]).tobytes()
    path = Path(path)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _raw_or_gzip(folder: Path, file: str) -> Path | None:
    """The path of a file in a folder, with or without .gz; None if neither exists."""
    candidates = (folder / file, folder / f"{file}.gz")
    return next((path for path in candidates if path.is_file()), None)


READER = Reader(
    expected=f"{', '.join(IDX_FILES.values())} (raw or .gz)",
    find=find_idx_folder,
    read=read_idx_folder,
    datasets=("mnist", "fashion_mnist"),
)
